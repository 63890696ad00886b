// A chain of equally large tensors needs room for two of them, not for all.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <array>
#include <memory>
#include <vector>

extern "C" {
#include "xnnpack/subgraph.h"
}

namespace {

TEST(MemoryPlan, AChainTakesTheRoomOfTwoTensors) {
  constexpr size_t kSide = 64;
  constexpr size_t kBytes = kSide * kSide * sizeof(float);
  constexpr int kLinks = 12;
  const std::array<size_t, 2> shape = {kSide, kSide};
  const std::array<size_t, 2> swap = {1, 0};
  ASSERT_EQ(xnn_initialize(nullptr), xnn_status_success);
  xnn_subgraph_t raw_subgraph = nullptr;
  ASSERT_EQ(xnn_create_subgraph(2, 0, &raw_subgraph), xnn_status_success);
  std::unique_ptr<xnn_subgraph, decltype(&xnn_delete_subgraph)> subgraph(
      raw_subgraph, xnn_delete_subgraph);
  std::vector<uint32_t> ids(kLinks + 1, XNN_INVALID_VALUE_ID);
  for (int i = 0; i <= kLinks; i++) {
    const bool outer = i == 0 || i == kLinks;
    const uint32_t flags = i == 0        ? XNN_VALUE_FLAG_EXTERNAL_INPUT
                           : i == kLinks ? XNN_VALUE_FLAG_EXTERNAL_OUTPUT
                                         : 0;
    ASSERT_EQ(xnn_define_tensor_value(
                  subgraph.get(), xnn_datatype_fp32, 2, shape.data(), nullptr,
                  outer ? i / kLinks : XNN_INVALID_VALUE_ID, flags, &ids[i]),
              xnn_status_success);
  }
  for (int i = 0; i < kLinks; i++) {
    ASSERT_EQ(xnn_define_static_transpose(subgraph.get(), 2, swap.data(),
                                          ids[i], ids[i + 1], 0),
              xnn_status_success);
  }
  xnn_runtime_t raw_runtime = nullptr;
  ASSERT_EQ(xnn_create_runtime_v2(subgraph.get(), nullptr, 0, &raw_runtime),
            xnn_status_success);
  std::unique_ptr<xnn_runtime, decltype(&xnn_delete_runtime)> runtime(
      raw_runtime, xnn_delete_runtime);
  std::vector<float> in(kSide * kSide + XNN_EXTRA_BYTES);
  std::vector<float> out(in.size());
  const std::array<xnn_external_value, 2> bound = {
      xnn_external_value{ids[0], in.data()},
      xnn_external_value{ids[kLinks], out.data()}};
  ASSERT_EQ(xnn_setup_runtime(runtime.get(), 2, bound.data()),
            xnn_status_success);
  EXPECT_LE(runtime->workspace->size, 2 * kBytes + 8 * XNN_EXTRA_BYTES);
}

}  // namespace
