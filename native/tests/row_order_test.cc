// The order of rows lets tiles share their dead taps: the share of live taps
// that operators found as they were reshaped.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <random>
#include <vector>

#include "native/tests/graph.h"
#include "native/tests/seed.h"

extern "C" {
#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-state.h"
#include "xnnpack/config.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"
}

namespace {

constexpr size_t kChannels = 32;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Network {
 public:
  explicit Network(std::mt19937& random) : random_(random) {
    EXPECT_EQ(xnn_initialize(nullptr), xnn_status_success);
    xnn_subgraph_t subgraph = nullptr;
    EXPECT_EQ(xnn_create_subgraph(2, 0, &subgraph), xnn_status_success);
    subgraph_.reset(subgraph);
  }

  uint32_t Plane(size_t size, uint32_t external = XNN_INVALID_VALUE_ID,
                 uint32_t flags = 0) {
    return Value({1, size, size, kChannels}, nullptr, external, flags);
  }

  // A 3x3 convolution.
  uint32_t Convolution(uint32_t input, uint32_t stride, uint32_t output) {
    const uint32_t weights =
        Constant(std::vector<float>(9 * kChannels * kChannels, 0.1f),
                 {kChannels, 3, 3, kChannels});
    const uint32_t bias = Constant(std::vector<float>(kChannels), {kChannels});
    EXPECT_EQ(xnn_define_convolution_2d(subgraph_.get(), 1, 1, 1, 1, 3, 3,
                                        stride, stride, 1, 1, 1, kChannels,
                                        kChannels, -kInfinity, kInfinity, input,
                                        weights, bias, output, 0),
              xnn_status_success);
    return output;
  }

  std::vector<float> RandomMask(size_t size, double sparsity) {
    std::vector<float> mask(size * size, 1.0f);
    std::fill_n(mask.begin(), static_cast<size_t>(sparsity * mask.size()),
                0.0f);
    std::shuffle(mask.begin(), mask.end(), random_);
    return mask;
  }

  uint32_t Mask(uint32_t input, size_t size, const std::vector<float>& mask) {
    const uint32_t output = Plane(size);
    EXPECT_EQ(
        xnn_define_binary(subgraph_.get(), xnn_binary_multiply, nullptr, input,
                          Constant(mask, {1, size, size, 1}), output, 0),
        xnn_status_success);
    return output;
  }

  // Shares of live taps of the convolutions whose rows and taps are many, in
  // execution order; those that run upstream's kernel have all.
  std::vector<double> Shares() {
    xnn_runtime_t raw = nullptr;
    EXPECT_EQ(xnn_create_runtime_v2(subgraph_.get(), nullptr, 0, &raw),
              xnn_status_success);
    std::unique_ptr<xnn_runtime, decltype(&xnn_delete_runtime)> runtime(
        raw, xnn_delete_runtime);
    EXPECT_EQ(xnn_reshape_runtime(raw), xnn_status_success);
    std::vector<double> shares;
    for (size_t i = 0; i < runtime->num_ops; i++) {
      const xnn_operator* op = runtime->opdata[i].operator_objects[0];
      if (op == nullptr || op->row_state == nullptr ||
          op->row_state->table == nullptr ||
          op->row_state->table->live_taps == nullptr) {
        continue;
      }
      const size_t rows = row_plan_computed_rows(op->row_state->plan);
      const size_t mr = op->gemm_loops.mr;
      size_t live = 0;
      for (size_t tile = 0; tile * mr < rows; tile++) {
        live += __builtin_popcountll(op->row_state->table->live_taps[tile]);
      }
      shares.push_back(static_cast<double>(live) / ((rows + mr - 1) / mr * 9));
    }
    return shares;
  }

 private:
  uint32_t Value(const std::vector<size_t>& shape, const void* data,
                 uint32_t external, uint32_t flags) {
    uint32_t id = XNN_INVALID_VALUE_ID;
    EXPECT_EQ(xnn_define_tensor_value(subgraph_.get(), xnn_datatype_fp32,
                                      shape.size(), shape.data(), data,
                                      external, flags, &id),
              xnn_status_success);
    return id;
  }

  uint32_t Constant(const std::vector<float>& values,
                    const std::vector<size_t>& shape) {
    constants_.push_back(values);
    return Value(shape, constants_.back().data(), XNN_INVALID_VALUE_ID, 0);
  }

  std::mt19937& random_;
  std::list<std::vector<float>> constants_;
  std::unique_ptr<xnn_subgraph, decltype(&xnn_delete_subgraph)> subgraph_{
      nullptr, xnn_delete_subgraph};
};

// Shares of live taps of one network between random masks of a half, 14x14 and
// in the end 7x7; none if this machine has no kernel that skips taps.
std::vector<double> DrawShares(std::mt19937& random) {
  Network network(random);
  const std::vector<float> mask = network.RandomMask(14, 0.5);
  const std::vector<float> other = network.RandomMask(14, 0.5);
  const std::vector<float> small = network.RandomMask(7, 0.5);
  uint32_t x = network.Plane(14, 0, XNN_VALUE_FLAG_EXTERNAL_INPUT);
  x = network.Mask(network.Convolution(x, 1, network.Plane(14)), 14, mask);
  x = network.Mask(network.Convolution(x, 1, network.Plane(14)), 14, mask);
  x = network.Mask(network.Convolution(x, 1, network.Plane(14)), 14, other);
  x = network.Mask(network.Convolution(x, 2, network.Plane(7)), 7, small);
  network.Convolution(x, 1,
                      network.Plane(7, 1, XNN_VALUE_FLAG_EXTERNAL_OUTPUT));
  return network.Shares();
}

// In raster order tiles of 4 to 7 rows have 0.88 to 0.97 of their taps live.
TEST(RowOrder, TilesShareTheirDeadTaps) {
  std::mt19937 random(tflite_sparse::testing::Seed());
  constexpr size_t kDraws = 10;
  // Of dense, and of dense to dense, there are no more dead taps than borders.
  std::vector<double> mean(5);
  for (size_t draw = 0; draw < kDraws; draw++) {
    const std::vector<double> shares = DrawShares(random);
    if (shares.empty()) {
      GTEST_SKIP() << "this machine has no kernel that skips taps";
    }
    ASSERT_EQ(shares.size(), mean.size());
    for (size_t i = 0; i < mean.size(); i++) {
      mean[i] += shares[i] / kDraws;
    }
  }
  EXPECT_LT(mean[1], 0.8) << "between equal masks";
  EXPECT_LT(mean[2], 0.8) << "between different masks";
  EXPECT_LT(mean[3], 1.0) << "of stride 2, in four tiles or six";
}

}  // namespace
