// Graphs that real networks are made of, with masks: the same numbers as
// written, in the form that was meant.

#include "native/tests/graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "native/tests/seed.h"

namespace tflite_sparse::testing {
namespace {

constexpr Window kPointwise = {1, 1, 1, 0};
constexpr Window kSquare = {3, 1, 1, 1};
constexpr Window kDown = {3, 2, 1, 0, true};

class MaskedGraph : public ::testing::TestWithParam<Type> {
 protected:
  MaskedGraph() : seed_(Seed()), random_(seed_), graph_(GetParam(), seed_) {}

  struct Mask NewMask(size_t height, size_t width, double sparsity = 0.5) {
    return RandomMask(height, width, sparsity, random_);
  }

  // Checks the numbers and the form of each masked layer in compact mode.
  void Expect(const std::vector<xnn_sparsity_mode>& forms) {
    ExpectSameAsWritten(graph_, seed_);
    std::vector<xnn_sparsity_mode> actual;
    std::string reasons;
    for (const xnn_masked_layer& layer :
         GraphRun(graph_, xnn_sparsity_mode_compact).Layers()) {
      actual.push_back(layer.form);
      reasons += std::string(layer.reason) + "; ";
    }
    EXPECT_EQ(actual, forms) << reasons;
  }

  static constexpr auto kCompact = xnn_sparsity_mode_compact;
  static constexpr auto kInsert = xnn_sparsity_mode_insert;
  static constexpr auto kDense = xnn_sparsity_mode_off;

  const uint32_t seed_;
  std::mt19937 random_;
  Graph graph_;
};

TEST_P(MaskedGraph, InvertedResidual) {
  const auto mask = NewMask(9, 8);
  size_t x = graph_.Input({9, 8, 16});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), mask);
  size_t y = graph_.Mask(graph_.Convolution(x, 48, kPointwise, 1, true), mask);
  y = graph_.Mask(graph_.Depthwise(y, kSquare), mask);
  y = graph_.Mask(graph_.Convolution(y, 16, kPointwise), mask);
  y = graph_.Binary(x, y, xnn_binary_add);
  graph_.Output(graph_.Convolution(y, 8, kPointwise));
  Expect({kCompact, kCompact, kCompact, kCompact});
}

TEST_P(MaskedGraph, ResidualOnDenseStream) {
  const auto mask = NewMask(9, 8);
  const size_t x = graph_.Convolution(graph_.Input({9, 8, 16}), 16, kSquare);
  size_t y = graph_.Mask(graph_.Convolution(x, 16, kSquare, 1, true), mask);
  y = graph_.Mask(graph_.Convolution(y, 16, kSquare), mask);
  graph_.Output(graph_.Binary(x, y, xnn_binary_add));
  // The second convolution writes the dense tensor that the add wants.
  Expect({kCompact, kInsert});
}

TEST_P(MaskedGraph, MaskedResidualSum) {
  const auto mask = NewMask(9, 8);
  const size_t x = graph_.Convolution(graph_.Input({9, 8, 16}), 16, kSquare);
  const size_t y = graph_.Convolution(x, 16, kSquare);
  const size_t sum = graph_.Mask(graph_.Binary(x, y, xnn_binary_add), mask);
  graph_.Output(graph_.Convolution(sum, 8, kPointwise));
  Expect({kCompact});
}

TEST_P(MaskedGraph, SiluBlockWithConcatenation) {
  const auto mask = NewMask(8, 8, 0.3);
  const auto silu = [&](size_t x, size_t channels, Window window) {
    const size_t c = graph_.Convolution(x, channels, window);
    return graph_.Mask(graph_.Binary(c, graph_.Unary(c, xnn_unary_sigmoid),
                                     xnn_binary_multiply),
                       mask);
  };
  const size_t x = silu(graph_.Input({8, 8, 8}), 16, kSquare);
  const size_t a = silu(x, 8, kPointwise);
  const size_t b = silu(silu(x, 8, kPointwise), 8, kSquare);
  const size_t c = silu(graph_.Concatenate(a, b), 24, kPointwise);
  graph_.Output(graph_.Convolution(c, 8, kSquare));
  Expect({kCompact, kCompact, kCompact, kCompact, kCompact});
}

// Of a masked pixel it is zero, as of any zero: rows stay compact through it.
TEST_P(MaskedGraph, ThresholdOfMaskedPixelsIsZero) {
  if (GetParam() != Type::kFloat32) {
    GTEST_SKIP() << "it has no exact form in other types";
  }
  const auto mask = NewMask(8, 7);
  const size_t x = graph_.Mask(
      graph_.Convolution(graph_.Input({8, 7, 8}), 16, kSquare), mask);
  size_t y = graph_.BinaryWithStatic(x, xnn_binary_subtract, {-0.25f});
  y = graph_.Unary(graph_.Unary(y, xnn_unary_clamp), xnn_unary_ceiling);
  y = graph_.BinaryWithStatic(y, xnn_binary_minimum, {1.0f});
  y = graph_.Binary(x, y, xnn_binary_multiply);
  graph_.Output(graph_.Convolution(y, 8, kSquare));
  Expect({kCompact});
}

TEST_P(MaskedGraph, SigmoidOfMaskedPixelsIsOneHalf) {
  const auto mask = NewMask(8, 7);
  size_t x = graph_.Input({8, 7, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), mask);
  graph_.Output(
      graph_.Convolution(graph_.Unary(x, xnn_unary_sigmoid), 8, kSquare));
  Expect({kInsert});
}

TEST_P(MaskedGraph, StrideTwoBetweenMasks) {
  size_t x = graph_.Input({12, 12, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(12, 12));
  x = graph_.Mask(graph_.Depthwise(x, kDown), NewMask(6, 6));
  x = graph_.Mask(graph_.Convolution(x, 16, kDown), NewMask(3, 3));
  graph_.Output(graph_.Convolution(x, 8, kPointwise));
  Expect({kCompact, kCompact, kCompact});
}

TEST_P(MaskedGraph, PointwiseBetweenDifferentMasks) {
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(8, 8));
  x = graph_.Mask(graph_.Convolution(x, 16, kPointwise), NewMask(8, 8));
  graph_.Output(graph_.Convolution(x, 8, kPointwise));
  Expect({kCompact, kCompact});
}

TEST_P(MaskedGraph, BranchesWithDifferentMasks) {
  const size_t x = graph_.Input({8, 8, 8});
  const size_t a =
      graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(8, 8));
  const size_t b =
      graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(8, 8));
  graph_.Output(graph_.Convolution(graph_.Concatenate(a, b), 8, kPointwise));
  graph_.Output(graph_.Binary(a, b, xnn_binary_add));
  Expect({kInsert, kInsert});
}

TEST_P(MaskedGraph, MaxPoolReadsCompactRows) {
  size_t x = graph_.Input({13, 12, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(13, 12, 0.7));
  x = graph_.MaxPool(x, {3, 2, 1, 1});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(7, 6));
  graph_.Output(graph_.MaxPool(x, {5, 1, 1, 2}));
  Expect({kCompact, kCompact});
}

TEST_P(MaskedGraph, MaskAfterPooling) {
  size_t x = graph_.Input({12, 12, 8});
  x = graph_.MaxPool(x, {2, 2, 1, 0});
  x = graph_.Mask(x, NewMask(6, 6));
  graph_.Output(graph_.Convolution(x, 16, kSquare));
  Expect({kCompact});
}

TEST_P(MaskedGraph, MeanReadsADenseTensor) {
  size_t x = graph_.Input({7, 7, 16});
  x = graph_.Mask(graph_.Convolution(x, 24, kSquare), NewMask(7, 7));
  graph_.Output(graph_.Mean(x));
  Expect({kInsert});
}

TEST_P(MaskedGraph, SplitAndChannelFactors) {
  const auto mask = NewMask(8, 8);
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), mask);
  const std::vector<size_t> halves = graph_.Split(x);
  const size_t a = graph_.BinaryWithChannels(halves[0], xnn_binary_multiply);
  const size_t b = graph_.Unary(halves[1], xnn_unary_leaky_relu);
  const size_t y = graph_.Binary(a, b, xnn_binary_add);
  graph_.Output(graph_.Convolution(y, 8, kPointwise));
  Expect({kCompact});
}

TEST_P(MaskedGraph, AddOfChannelsIsNotZeroAtMaskedPixels) {
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(8, 8));
  x = graph_.BinaryWithChannels(x, xnn_binary_add);
  graph_.Output(graph_.Convolution(x, 8, kSquare));
  Expect({kInsert});
}

TEST_P(MaskedGraph, OutputInTheMiddle) {
  const auto mask = NewMask(8, 8);
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), mask);
  graph_.Output(x);
  x = graph_.Mask(graph_.Convolution(x, 16, kPointwise), mask);
  graph_.Output(graph_.Convolution(x, 8, kSquare));
  Expect({kInsert, kCompact});
}

TEST_P(MaskedGraph, UnmaskedOutputIsAlsoRead) {
  const size_t c = graph_.Convolution(graph_.Input({8, 8, 8}), 16, kSquare);
  graph_.Output(c);
  const size_t x = graph_.Mask(c, NewMask(8, 8));
  graph_.Output(graph_.Convolution(x, 8, kSquare));
  Expect({kDense});
  EXPECT_STREQ(GraphRun(graph_, kCompact).Layers()[0].reason,
               "the output of its Convolution 2D is also read unmasked, by "
               "another operation or as an output of the graph");
}

TEST_P(MaskedGraph, MaskedTwice) {
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Convolution(x, 16, kSquare);
  x = graph_.Mask(graph_.Mask(x, NewMask(8, 8)), NewMask(8, 8));
  graph_.Output(graph_.Convolution(x, 8, kSquare));
  Expect({kCompact, kCompact});
}

TEST_P(MaskedGraph, DisjointMasks) {
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Convolution(x, 16, kSquare);
  x = graph_.Mask(x, Where(8, 8, [](size_t y, size_t) { return y < 4; }));
  x = graph_.Mask(x, Where(8, 8, [](size_t y, size_t) { return y >= 4; }));
  graph_.Output(graph_.Convolution(x, 8, kSquare));
  ExpectSameAsWritten(graph_, seed_);
}

TEST_P(MaskedGraph, ScaleAndOffsetPerChannel) {
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Depthwise(graph_.Convolution(x, 16, kSquare), kPointwise);
  x = graph_.Mask(x, NewMask(8, 8));
  graph_.Output(graph_.Convolution(x, 8, kPointwise));
  Expect({kCompact});
}

TEST_P(MaskedGraph, AveragePoolReadsADenseTensor) {
  size_t x = graph_.Input({8, 8, 8});
  x = graph_.Mask(graph_.Convolution(x, 16, kSquare), NewMask(8, 8));
  if (GetParam() != Type::kFloat32) {
    GTEST_SKIP() << "XNNPACK has no such average pooling";
  }
  graph_.Output(graph_.AveragePool(x, 2));
  Expect({kInsert});
}

// A block that only strided 1x1 convolutions read: of its masked convolution,
// the pixels that they read and the mask keeps are computed.
TEST_P(MaskedGraph, WindowsDemandWhatTheyRead) {
  const auto lines = Where(8, 8, [](size_t y, size_t) { return y % 4 < 2; });
  constexpr Window kSample = {1, 2, 1, 0};
  size_t x = graph_.Input({8, 8, 16});
  x = graph_.Convolution(x, 16, kSquare);
  size_t y = graph_.Mask(graph_.Convolution(x, 16, kPointwise), lines);
  y = graph_.Binary(x, y, xnn_binary_add);
  const size_t a = graph_.Convolution(y, 8, kSample);
  const size_t b = graph_.Convolution(y, 8, kSample);
  graph_.Output(graph_.Binary(a, b, xnn_binary_add));
  ExpectSameAsWritten(graph_, seed_);
  const auto layers = GraphRun(graph_, xnn_sparsity_mode_compact).Layers();
  ASSERT_EQ(layers.size(), 1u);
  // Of 8 lines with 8 pixels: lines 0 and 4, every second pixel.
  EXPECT_EQ(layers[0].macs_kept * 64, layers[0].macs_dense * 8);
}

// The same value is read by the application, too.
TEST_P(MaskedGraph, OutputsDemandEverything) {
  const auto lines = Where(8, 8, [](size_t y, size_t) { return y % 4 < 2; });
  constexpr Window kSample = {1, 2, 1, 0};
  size_t x = graph_.Mask(
      graph_.Convolution(graph_.Input({8, 8, 16}), 16, kSquare), lines);
  graph_.Output(x);
  graph_.Output(graph_.Convolution(x, 8, kSample));
  Expect({kInsert});
  const auto layers = GraphRun(graph_, xnn_sparsity_mode_compact).Layers();
  EXPECT_EQ(layers[0].macs_kept * 2, layers[0].macs_dense);
}

INSTANTIATE_TEST_SUITE_P(Types, MaskedGraph,
                         ::testing::Values(Type::kFloat32, Type::kInt8,
                                           Type::kUint8),
                         [](const auto& info) { return Name(info.param); });

// Multiplies that only look like masks run as written, and say why.
class NotAMask : public ::testing::TestWithParam<
                     std::tuple<std::vector<size_t>, float, const char*>> {};

TEST_P(NotAMask, StaysDenseAndSaysWhy) {
  const auto& [shape, value, reason] = GetParam();
  const uint32_t seed = Seed();
  Graph graph(Type::kFloat32, seed);
  const size_t x = graph.Convolution(graph.Input({4, 6, 8}), 8, kSquare);
  std::vector<float> values(shape[1] * shape[2], 1.0f);
  values[2] = value;
  values[3] = 0.0f;
  graph.Output(graph.MultiplyByStatic(x, shape, values));
  if (value == value) {
    ExpectSameAsWritten(graph, seed);
  }
  const auto layers = GraphRun(graph, xnn_sparsity_mode_compact).Layers();
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].form, xnn_sparsity_mode_off);
  EXPECT_STREQ(layers[0].reason, reason);
}

INSTANTIATE_TEST_SUITE_P(
    Values, NotAMask,
    ::testing::Values(
        std::make_tuple(std::vector<size_t>{1, 4, 6, 1}, 0.5f,
                        "the mask holds 0.5 at pixel (y 0, x 2), expected only "
                        "0 and 1"),
        std::make_tuple(std::vector<size_t>{1, 4, 6, 1}, 2.0f,
                        "the mask holds 2 at pixel (y 0, x 2), expected only 0 "
                        "and 1"),
        std::make_tuple(std::vector<size_t>{1, 4, 6, 1}, -1.0f,
                        "the mask holds -1 at pixel (y 0, x 2), expected only "
                        "0 and 1"),
        std::make_tuple(std::vector<size_t>{1, 4, 6, 1}, NAN,
                        "the mask holds nan at pixel (y 0, x 2), expected only "
                        "0 and 1"),
        std::make_tuple(std::vector<size_t>{1, 4, 1, 1}, 1.0f,
                        "the mask is [1, 4, 1, 1], expected [1, 4, 6, 1] as "
                        "its layer's output")));

// A depthwise kernel is called once for each run of kept pixels, and a
// scattered byte costs more than a few multiplications, on every machine.
TEST(InsertionRule, WeighsWhatIsSkippedAgainstWhatItTakes) {
  const auto form_of = [](bool depthwise, size_t channels,
                          const struct Mask& mask) {
    Graph graph(Type::kFloat32, 7);
    const size_t input = graph.Input({16, 16, channels});
    graph.Output(
        graph.Mask(depthwise ? graph.Depthwise(input, kSquare)
                             : graph.Convolution(input, channels, kPointwise),
                   mask));
    return GraphRun(graph, xnn_sparsity_mode_insert).Layers()[0].form;
  };
  std::mt19937 random(7);
  const auto half = FirstPixels(16, 16, 128);
  const auto checkerboard =
      Where(16, 16, [](size_t y, size_t x) { return (y + x) % 2 == 0; });
  EXPECT_EQ(form_of(true, 16, half), xnn_sparsity_mode_insert);
  EXPECT_EQ(form_of(true, 16, checkerboard), xnn_sparsity_mode_off);
  EXPECT_EQ(form_of(true, 512, checkerboard), xnn_sparsity_mode_insert);
  EXPECT_EQ(form_of(false, 2, half), xnn_sparsity_mode_off);
  EXPECT_EQ(form_of(false, 512, half), xnn_sparsity_mode_insert);
  EXPECT_EQ(form_of(false, 64, RandomMask(16, 16, 0.01, random)),
            xnn_sparsity_mode_off);
}

TEST(Memory, CompactTensorsShrinkTheArena) {
  std::mt19937 random(7);
  const auto mask = RandomMask(32, 32, 0.5, random);
  Graph graph(Type::kFloat32, 7);
  size_t x = graph.Input({32, 32, 8});
  for (int i = 0; i < 4; i++) {
    x = graph.Mask(graph.Convolution(x, 64, kPointwise), mask);
  }
  graph.Output(graph.Convolution(x, 1, kPointwise));
  GraphRun dense(graph, xnn_sparsity_mode_off);
  GraphRun compact(graph, xnn_sparsity_mode_compact);
  dense(7);
  compact(7);
  EXPECT_LT(compact.ArenaBytes(), dense.ArenaBytes() * 0.55);
}

}  // namespace
}  // namespace tflite_sparse::testing
