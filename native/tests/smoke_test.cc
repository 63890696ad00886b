// The library that everything stands on links, starts, and computes.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <array>
#include <memory>
#include <vector>

namespace {

TEST(Xnnpack, RunsASubgraph) {
  ASSERT_EQ(xnn_initialize(nullptr), xnn_status_success);
  xnn_subgraph_t raw_subgraph = nullptr;
  ASSERT_EQ(xnn_create_subgraph(2, 0, &raw_subgraph), xnn_status_success);
  std::unique_ptr<xnn_subgraph, decltype(&xnn_delete_subgraph)> subgraph(
      raw_subgraph, xnn_delete_subgraph);

  const std::array<size_t, 4> shape = {1, 2, 2, 1};
  uint32_t input = XNN_INVALID_VALUE_ID;
  uint32_t output = XNN_INVALID_VALUE_ID;
  ASSERT_EQ(xnn_define_tensor_value(subgraph.get(), xnn_datatype_fp32, 4,
                                    shape.data(), nullptr, 0,
                                    XNN_VALUE_FLAG_EXTERNAL_INPUT, &input),
            xnn_status_success);
  ASSERT_EQ(xnn_define_tensor_value(subgraph.get(), xnn_datatype_fp32, 4,
                                    shape.data(), nullptr, 1,
                                    XNN_VALUE_FLAG_EXTERNAL_OUTPUT, &output),
            xnn_status_success);
  ASSERT_EQ(xnn_define_unary(subgraph.get(), xnn_unary_square, nullptr, input,
                             output, 0),
            xnn_status_success);

  xnn_runtime_t raw_runtime = nullptr;
  ASSERT_EQ(xnn_create_runtime_v2(subgraph.get(), nullptr, 0, &raw_runtime),
            xnn_status_success);
  std::unique_ptr<xnn_runtime, decltype(&xnn_delete_runtime)> runtime(
      raw_runtime, xnn_delete_runtime);
  std::vector<float> in = {1, -2, 3, -4, 0, 0, 0, 0};  // with XNN_EXTRA_BYTES
  std::vector<float> out(8);
  const std::array<xnn_external_value, 2> bound = {
      xnn_external_value{input, in.data()},
      xnn_external_value{output, out.data()}};
  ASSERT_EQ(xnn_setup_runtime(runtime.get(), 2, bound.data()),
            xnn_status_success);
  ASSERT_EQ(xnn_invoke_runtime(runtime.get()), xnn_status_success);
  out.resize(4);
  EXPECT_EQ(out, (std::vector<float>{1, 4, 9, 16}));
}

}  // namespace
