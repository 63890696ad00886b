// Matrix multiplies in loops of ours, against upstream's operators run outside
// of a runtime, where nothing exchanges their loops: equal to the bit, since
// the order of a sum is the kernel's.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "native/tests/seed.h"
#include "pthreadpool.h"

extern "C" {
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Weights are larger than any core's share of a second-level cache.
struct Layer {
  const char* name;
  // 0: fully connected.
  uint32_t kernel;
  uint32_t groups;
  size_t size;
  size_t group_inputs;
  size_t group_outputs;
};

constexpr Layer kLayers[] = {
    {"pointwise", 1, 1, 5, 1500, 1201},
    {"square", 3, 1, 5, 160, 2011},
    {"grouped", 3, 2, 5, 160, 2011},
    {"grouped_pointwise", 1, 2, 5, 1500, 1201},
    {"fully_connected", 0, 1, 1, 1500, 2011},
};

class GemmLoops
    : public ::testing::TestWithParam<std::tuple<Layer, size_t, size_t>> {
 protected:
  void SetUp() override {
    ASSERT_EQ(xnn_initialize(nullptr), xnn_status_success);
    const auto& [layer, batch, threads] = GetParam();
    std::mt19937 random(tflite_sparse::testing::Seed());
    std::uniform_real_distribution<float> uniform(-1, 1);
    const auto fill = [&](std::vector<float>& values, size_t count) {
      values.resize(count + XNN_EXTRA_BYTES);
      std::generate_n(values.begin(), count, [&] { return uniform(random); });
    };
    const size_t taps = std::max(layer.kernel * layer.kernel, 1u);
    pixels_ = layer.size * layer.size;
    fill(input_, batch * pixels_ * Inputs());
    fill(weights_, Outputs() * taps * layer.group_inputs);
    fill(bias_, Outputs());
    if (threads > 1) {
      threads_.reset(pthreadpool_create(threads));
    }
  }

  static const Layer& GetLayer() { return std::get<0>(GetParam()); }
  static size_t Batch() { return std::get<1>(GetParam()); }
  static size_t Inputs() { return GetLayer().groups * GetLayer().group_inputs; }
  static size_t Outputs() {
    return GetLayer().groups * GetLayer().group_outputs;
  }
  std::vector<float> NewOutput() const {
    return std::vector<float>(Batch() * pixels_ * Outputs());
  }

  std::vector<float> RunOperator() const {
    const Layer& layer = GetLayer();
    std::vector<float> output = NewOutput();
    xnn_operator_t raw = nullptr;
    if (layer.kernel == 0) {
      EXPECT_EQ(
          xnn_create_fully_connected_nc_f32(
              Inputs(), Outputs(), Inputs(), Outputs(), weights_.data(),
              bias_.data(), -kInfinity, kInfinity, 0, nullptr, nullptr, &raw),
          xnn_status_success);
      EXPECT_EQ(xnn_reshape_fully_connected_nc_f32(raw, Batch(), nullptr),
                xnn_status_success);
      EXPECT_EQ(
          xnn_setup_fully_connected_nc_f32(raw, input_.data(), output.data()),
          xnn_status_success);
    } else {
      const uint32_t padding = layer.kernel / 2;
      EXPECT_EQ(
          xnn_create_convolution2d_nhwc_f32(
              padding, padding, padding, padding, layer.kernel, layer.kernel, 1,
              1, 1, 1, layer.groups, layer.group_inputs, layer.group_outputs,
              Inputs(), Outputs(), weights_.data(), bias_.data(), -kInfinity,
              kInfinity, 0, nullptr, nullptr, &raw),
          xnn_status_success);
      size_t workspace_size = 0;
      size_t workspace_alignment = 0;
      EXPECT_EQ(xnn_reshape_convolution2d_nhwc_f32(
                    raw, Batch(), layer.size, layer.size, &workspace_size,
                    &workspace_alignment, nullptr, nullptr, nullptr),
                xnn_status_success);
      EXPECT_EQ(workspace_size, 0u);
      EXPECT_EQ(xnn_setup_convolution2d_nhwc_f32(raw, nullptr, input_.data(),
                                                 output.data()),
                xnn_status_success);
    }
    EXPECT_EQ(xnn_run_operator(raw, nullptr), xnn_status_success);
    xnn_delete_operator(raw);
    return output;
  }

  std::vector<float> RunRuntime() {
    const Layer& layer = GetLayer();
    xnn_subgraph_t raw_subgraph = nullptr;
    EXPECT_EQ(xnn_create_subgraph(2, 0, &raw_subgraph), xnn_status_success);
    std::unique_ptr<xnn_subgraph, decltype(&xnn_delete_subgraph)> subgraph(
        raw_subgraph, xnn_delete_subgraph);
    const auto define = [&](std::vector<size_t> shape, const void* data,
                            uint32_t external, uint32_t flags) {
      if (layer.kernel == 0 && shape.size() == 4) {
        shape = {shape[0], shape[3]};
      }
      uint32_t id = XNN_INVALID_VALUE_ID;
      EXPECT_EQ(
          xnn_define_tensor_value(raw_subgraph, xnn_datatype_fp32, shape.size(),
                                  shape.data(), data, external, flags, &id),
          xnn_status_success);
      return id;
    };
    const uint32_t input = define({Batch(), layer.size, layer.size, Inputs()},
                                  nullptr, 0, XNN_VALUE_FLAG_EXTERNAL_INPUT);
    const uint32_t output = define({Batch(), layer.size, layer.size, Outputs()},
                                   nullptr, 1, XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
    const uint32_t weights =
        define({Outputs(), layer.kernel, layer.kernel, layer.group_inputs},
               weights_.data(), XNN_INVALID_VALUE_ID, 0);
    const uint32_t bias =
        define({Outputs()}, bias_.data(), XNN_INVALID_VALUE_ID, 0);
    const uint32_t padding = layer.kernel / 2;
    EXPECT_EQ(
        layer.kernel == 0
            ? xnn_define_fully_connected(raw_subgraph, -kInfinity, kInfinity,
                                         input, weights, bias, output, 0)
            : xnn_define_convolution_2d(
                  raw_subgraph, padding, padding, padding, padding,
                  layer.kernel, layer.kernel, 1, 1, 1, 1, layer.groups,
                  layer.group_inputs, layer.group_outputs, -kInfinity,
                  kInfinity, input, weights, bias, output, 0),
        xnn_status_success);
    xnn_runtime_t raw_runtime = nullptr;
    EXPECT_EQ(
        xnn_create_runtime_v2(raw_subgraph, threads_.get(), 0, &raw_runtime),
        xnn_status_success);
    std::unique_ptr<xnn_runtime, decltype(&xnn_delete_runtime)> runtime(
        raw_runtime, xnn_delete_runtime);
    std::vector<float> result = NewOutput();
    const std::array<xnn_external_value, 2> bound = {
        xnn_external_value{input, input_.data()},
        xnn_external_value{output, result.data()}};
    EXPECT_EQ(xnn_setup_runtime(raw_runtime, bound.size(), bound.data()),
              xnn_status_success);
    EXPECT_EQ(xnn_invoke_runtime(raw_runtime), xnn_status_success);
    loops_ = runtime->opdata[0].operator_objects[0]->gemm_loops;
    return result;
  }

  size_t pixels_ = 0;
  std::vector<float> input_;
  std::vector<float> weights_;
  std::vector<float> bias_;
  std::unique_ptr<pthreadpool, decltype(&pthreadpool_destroy)> threads_{
      nullptr, pthreadpool_destroy};
  gemm_loops loops_ = {};
};

TEST_P(GemmLoops, GiveWhatUpstreamsGive) {
  const std::vector<float> expected = RunOperator();
  const std::vector<float> actual = RunRuntime();
  size_t num_different = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    num_different += expected[i] != actual[i];
  }
  EXPECT_EQ(num_different, 0u) << "of " << expected.size();
  // Upstream's grouped GEMM, and multiplies of one tile, stay in one piece.
  if (loops_.run != nullptr && Batch() * pixels_ > loops_.mr) {
    EXPECT_LT(loops_.channels_per_block, loops_.num_channels);
  }
  EXPECT_EQ(loops_.run == nullptr,
            GetLayer().kernel == 1 && GetLayer().groups > 1);
}

INSTANTIATE_TEST_SUITE_P(
    Layers, GemmLoops,
    ::testing::Combine(::testing::ValuesIn(kLayers), ::testing::Values(1, 9),
                       ::testing::Values(1, 3)),
    [](const auto& info) {
      return std::get<0>(info.param).name +
             ("_batch" + std::to_string(std::get<1>(info.param))) + "_threads" +
             std::to_string(std::get<2>(info.param));
    });

}  // namespace
