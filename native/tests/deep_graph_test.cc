// Graphs of very many nodes: the engine's work grows with their number, and its
// stack does not.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "native/engine/sparsity.h"

extern "C" {
#include "native/engine/subgraph-sparsity.h"
#include "xnnpack/subgraph.h"
}

namespace {

constexpr std::array<size_t, 4> kShape = {1, 2, 2, 1};
constexpr std::array<size_t, 4> kMaskShape = {1, 2, 2, 1};
constexpr std::array<float, 4> kMask = {1, 0, 0, 1};

// Far beyond what a stack of 8 MB or a quadratic pass would bear.
constexpr uint32_t kLinks = 300000;

class Chain {
 public:
  Chain() {
    EXPECT_EQ(xnn_initialize(nullptr), xnn_status_success);
    xnn_subgraph_t subgraph = nullptr;
    EXPECT_EQ(xnn_create_subgraph(2, 0, &subgraph), xnn_status_success);
    subgraph_.reset(subgraph);
    last_ = Value(0, XNN_VALUE_FLAG_EXTERNAL_INPUT);
    EXPECT_EQ(xnn_define_tensor_value(subgraph, xnn_datatype_fp32, 4,
                                      kMaskShape.data(), kMask.data(),
                                      XNN_INVALID_VALUE_ID, 0, &mask_),
              xnn_status_success);
  }

  void Negate() {
    const uint32_t output = Value(XNN_INVALID_VALUE_ID, 0);
    ASSERT_EQ(xnn_define_unary(subgraph_.get(), xnn_unary_negate, nullptr,
                               last_, output, 0),
              xnn_status_success);
    last_ = output;
  }

  void Mask(uint32_t output) {
    ASSERT_EQ(xnn_define_binary(subgraph_.get(), xnn_binary_multiply, nullptr,
                                last_, mask_, output, 0),
              xnn_status_success);
    last_ = output;
  }

  void Mask() { Mask(Value(XNN_INVALID_VALUE_ID, 0)); }

  // Ends in a mask and the graph's output; rewrites.
  void Finish() {
    Mask(Value(1, XNN_VALUE_FLAG_EXTERNAL_OUTPUT));
    ASSERT_EQ(xnn_subgraph_skip_masked_rows(subgraph_.get()),
              xnn_status_success);
  }

 private:
  uint32_t Value(uint32_t external, uint32_t flags) {
    uint32_t id = XNN_INVALID_VALUE_ID;
    EXPECT_EQ(
        xnn_define_tensor_value(subgraph_.get(), xnn_datatype_fp32, 4,
                                kShape.data(), nullptr, external, flags, &id),
        xnn_status_success);
    return id;
  }

  std::unique_ptr<xnn_subgraph, decltype(&xnn_delete_subgraph)> subgraph_{
      nullptr, xnn_delete_subgraph};
  uint32_t mask_ = XNN_INVALID_VALUE_ID;
  uint32_t last_ = XNN_INVALID_VALUE_ID;
};

TEST(DeepGraph, ElementwiseNodesBeforeAMask) {
  Chain chain;
  for (uint32_t i = 0; i < kLinks; i++) {
    chain.Negate();
  }
  chain.Finish();
}

TEST(DeepGraph, MasksAllTheWay) {
  Chain chain;
  for (uint32_t i = 0; i < kLinks / 2; i++) {
    chain.Negate();
    chain.Mask();
  }
  chain.Finish();
}

}  // namespace
