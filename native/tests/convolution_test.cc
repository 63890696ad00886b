// One masked layer: every kind of window, mask and type, against the same
// multiply run as written, and against nested loops.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "native/tests/graph.h"

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

class MaskedLayer
    : public ::testing::TestWithParam<std::tuple<LayerCase, Type>> {};

TEST_P(MaskedLayer, EqualsDenseAtKeptPixelsAndIsZeroElsewhere) {
  const auto& [layer, type] = GetParam();
  const uint32_t seed = std::random_device()();
  Graph unmasked(type, seed);
  const size_t x = AddLayer(unmasked, layer, unmasked.Input(layer.input));
  unmasked.Output(x);
  const Plane plane = unmasked.PlaneOf(x);
  const Tensor dense = GraphRun(unmasked, xnn_sparsity_mode_off)(seed)[0];

  for (const auto& [mask_name, mask] : Masks(plane.height, plane.width, seed)) {
    SCOPED_TRACE("mask " + mask_name + ", seed " + std::to_string(seed));
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
