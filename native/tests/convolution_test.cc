// One masked layer: every kind of window, mask and type, against the dense
// convolution, the same multiply run as written, and nested loops that read as
// the definition.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/tests/graph.h"
#include "native/tests/seed.h"

namespace tflite_sparse::testing {
namespace {

struct LayerCase {
  const char* name;
  Plane input;
  size_t channels;
  Window window;
  size_t groups = 1;
  bool depthwise = false;
  size_t multiplier = 1;
};

const LayerCase kLayers[] = {
    {"Pointwise", {9, 7, 24}, 40, {1, 1, 1, 0}},
    {"PointwiseStride2", {9, 8, 24}, 40, {1, 2, 1, 0}},
    {"PointwiseGrouped", {6, 7, 24}, 36, {1, 1, 1, 0}, 3},
    {"Square3", {9, 8, 19}, 37, {3, 1, 1, 1}},
    {"Square3Stride2Same", {10, 9, 19}, 37, {3, 2, 1, 0, true}},
    {"Square3Dilated", {11, 9, 8}, 16, {3, 1, 2, 2}},
    {"Square3Valid", {9, 8, 8}, 12, {3, 1, 1, 0}},
    {"Square3Grouped", {8, 8, 16}, 24, {3, 1, 1, 1}, 2},
    {"Square5Same", {9, 8, 7}, 11, {5, 1, 1, 0, true}},
    {"Square7Stride2", {15, 14, 3}, 33, {7, 2, 1, 3}},
    {"Wide", {4, 3, 40}, 330, {3, 1, 1, 1}},
    // One row is left over from tiles of 16: AMX reads it on a way of its own.
    {"Deep", {7, 7, 136}, 70, {3, 1, 1, 1}},
    {"Depthwise3", {9, 8, 37}, 0, {3, 1, 1, 1}, 1, true},
    {"Depthwise3Stride2Same", {10, 9, 37}, 0, {3, 2, 1, 0, true}, 1, true},
    {"Depthwise5", {9, 8, 20}, 0, {5, 1, 1, 2}, 1, true},
    {"Depthwise7", {11, 9, 20}, 0, {7, 1, 1, 3}, 1, true},
    {"Depthwise3Dilated", {11, 9, 16}, 0, {3, 1, 2, 2}, 1, true},
    {"Depthwise1Stride2", {9, 8, 16}, 0, {1, 2, 1, 0}, 1, true},
    {"DepthwiseMultiplier2", {8, 7, 9}, 0, {3, 1, 1, 1}, 1, true, 2},
};

std::vector<std::pair<std::string, Mask>> Masks(size_t height, size_t width,
                                                uint32_t seed) {
  std::mt19937 random(seed);
  const size_t pixels = height * width;
  std::vector<std::pair<std::string, Mask>> masks = {
      {"all kept", FirstPixels(height, width, pixels)},
      {"none kept", FirstPixels(height, width, 0)},
      {"one pixel",
       Where(height, width,
             [=](size_t y, size_t x) { return y == height / 2 && x == 1; })},
      {"one line",
       Where(height, width, [](size_t y, size_t) { return y == 1; })},
      {"checkerboard",
       Where(height, width,
             [](size_t y, size_t x) { return (y + x) % 2 == 0; })},
      {"border", Where(height, width,
                       [=](size_t y, size_t x) {
                         return y == 0 || x == 0 || y == height - 1 ||
                                x == width - 1;
                       })},
      {"30%", RandomMask(height, width, 0.3, random)},
      {"50%", RandomMask(height, width, 0.5, random)},
      {"90%", RandomMask(height, width, 0.9, random)},
  };
  // Ragged tails around every tile size.
  for (size_t count = 2; count < std::min<size_t>(pixels, 18); count++) {
    masks.emplace_back("first " + std::to_string(count),
                       FirstPixels(height, width, count));
  }
  return masks;
}

size_t AddLayer(Graph& graph, const LayerCase& layer, size_t input) {
  return layer.depthwise
             ? graph.Depthwise(input, layer.window, layer.multiplier)
             : graph.Convolution(input, layer.channels, layer.window,
                                 layer.groups);
}

size_t PaddingBefore(size_t input, size_t output, const Window& window) {
  if (!window.same) {
    return window.padding;
  }
  const size_t covered =
      (output - 1) * window.stride + (window.kernel - 1) * window.dilation + 1;
  return covered > input ? (covered - input) / 2 : 0;
}

// The definition: a kept pixel is the sum over its window, a masked one zero.
// `magnitude` receives the sum of the terms' absolute values.
double ReferencePixel(const Convolution& layer, const Plane& input_plane,
                      const Plane& output_plane, const Tensor& input, size_t y,
                      size_t x, size_t channel, double* magnitude) {
  const Window& window = layer.window;
  const size_t group = channel / layer.group_output_channels;
  const size_t top =
      PaddingBefore(input_plane.height, output_plane.height, window);
  const size_t left =
      PaddingBefore(input_plane.width, output_plane.width, window);
  double sum = layer.bias[channel];
  *magnitude = std::fabs(sum);
  for (size_t ky = 0; ky < window.kernel; ky++) {
    for (size_t kx = 0; kx < window.kernel; kx++) {
      const size_t iy = y * window.stride + ky * window.dilation - top;
      const size_t ix = x * window.stride + kx * window.dilation - left;
      if (iy >= input_plane.height || ix >= input_plane.width) {
        continue;  // also where the subtraction wrapped around
      }
      for (size_t c = 0; c < layer.group_input_channels; c++) {
        const size_t weight =
            ((channel * window.kernel + ky) * window.kernel + kx) *
                layer.group_input_channels +
            c;
        const size_t element =
            (iy * input_plane.width + ix) * input_plane.channels +
            group * layer.group_input_channels + c;
        const double term = static_cast<double>(layer.weights[weight]) *
                            static_cast<double>(input.values[element]);
        sum += term;
        *magnitude += std::fabs(term);
      }
    }
  }
  return sum;
}

class MaskedLayer
    : public ::testing::TestWithParam<std::tuple<LayerCase, Type>> {};

TEST_P(MaskedLayer, EqualsDenseAtKeptPixelsAndIsZeroElsewhere) {
  const auto& [layer, type] = GetParam();
  if (!IsSupported(type)) {
    GTEST_SKIP() << "this machine does not compute in " << Name(type);
  }
  const uint32_t seed = Seed();
  Graph unmasked(type, seed);
  const size_t x = AddLayer(unmasked, layer, unmasked.Input(layer.input));
  unmasked.Output(x);
  const Plane plane = unmasked.PlaneOf(x);
  const Tensor dense = GraphRun(unmasked, xnn_sparsity_mode_off)(seed)[0];

  for (const auto& [mask_name, mask] : Masks(plane.height, plane.width, seed)) {
    SCOPED_TRACE("mask " + mask_name +
                 ", TFLITE_SPARSE_SEED=" + std::to_string(seed));
    if (type == Type::kFloat16 && mask.Count() <= 2) {
      // For one or two rows XNNPACK takes Arm's kernel for a row alone, which
      // adds in another order: float16 shows it.
      continue;
    }
    Graph graph(type, seed);
    graph.Output(
        graph.Mask(AddLayer(graph, layer, graph.Input(layer.input)), mask));
    GraphRun sparse(graph, xnn_sparsity_mode_insert);
    const Tensor actual = sparse(seed)[0];
    for (size_t i = 0; i < dense.values.size(); i++) {
      const size_t pixel = i / plane.channels;
      ASSERT_EQ(actual.values[i], mask.kept[pixel] ? dense.values[i] : 0.0f)
          << "pixel " << pixel << ", channel " << i % plane.channels;
    }
    ExpectSameAsWritten(graph, seed);

    const auto layers = sparse.Layers();
    ASSERT_EQ(layers.size(), 1u);
    EXPECT_EQ(layers[0].total_pixels, plane.height * plane.width);
    const size_t count = mask.Count();
    const bool is_mask = count != 0 && count != layers[0].total_pixels;
    if (layers[0].form == xnn_sparsity_mode_insert) {
      EXPECT_TRUE(is_mask);
      EXPECT_EQ(layers[0].kept_pixels, count);
      EXPECT_EQ(layers[0].macs_kept * layers[0].total_pixels,
                layers[0].macs_dense * count);
      EXPECT_STREQ(layers[0].reason, "");
    } else {
      // A rule keeps layers dense that have little to gain.
      EXPECT_FALSE(is_mask && count * 20 < layers[0].total_pixels);
      EXPECT_STRNE(layers[0].reason, "");
    }
  }
}

TEST_P(MaskedLayer, IsItsDefinition) {
  const auto& [layer, type] = GetParam();
  if (type == Type::kFloat16) {
    GTEST_SKIP() << "rounds its weights to float16 inside XNNPACK";
  }
  const uint32_t seed = Seed();
  std::mt19937 random(seed);
  SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(seed));
  Graph shape(type, seed);
  const Plane plane =
      shape.PlaneOf(AddLayer(shape, layer, shape.Input(layer.input)));
  const Mask mask = RandomMask(plane.height, plane.width, 0.5, random);
  Graph graph(type, seed);
  const size_t masked =
      graph.Mask(AddLayer(graph, layer, graph.Input(layer.input)), mask);
  graph.Output(masked);
  GraphRun run(graph, xnn_sparsity_mode_insert);
  const Tensor actual = run(seed)[0];
  const Convolution& convolution = graph.Convolutions()[0];
  const double terms = static_cast<double>(convolution.weights.size() /
                                           convolution.bias.size()) +
                       1;
  const double step = graph.StepOf(masked);
  for (size_t i = 0; i < actual.values.size(); i++) {
    const size_t pixel = i / plane.channels;
    double magnitude = 0;
    const double sum = ReferencePixel(
        convolution, layer.input, plane, run.Inputs()[0], pixel / plane.width,
        pixel % plane.width, i % plane.channels, &magnitude);
    const double expected = mask.kept[pixel] ? sum : 0.0;
    // Each of the sum's roundings is off by half an epsilon of what has been
    // added up so far; a quantised result is also rounded to a whole step, and
    // saturates at the ends of its 256.
    const double tolerance =
        terms * std::numeric_limits<float>::epsilon() * magnitude +
        step * (0.5 + 1e-4);
    const bool is_saturated = step != 0 && std::fabs(expected) > 120 * step &&
                              std::fabs(actual.values[i]) > 119 * step &&
                              (expected > 0) == (actual.values[i] > 0);
    if (!is_saturated) {
      ASSERT_NEAR(actual.values[i], expected, tolerance)
          << "pixel " << pixel << ", channel " << i % plane.channels;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layers, MaskedLayer,
    ::testing::Combine(::testing::ValuesIn(kLayers),
                       ::testing::Values(Type::kFloat32, Type::kFloat16,
                                         Type::kInt8, Type::kUint8)),
    [](const auto& info) {
      return std::get<0>(info.param).name +
             ("_" + Name(std::get<1>(info.param)));
    });

}  // namespace
}  // namespace tflite_sparse::testing
