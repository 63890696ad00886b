// Which operators skip zeros, and what they say of it. That results are equal
// is tested on random graphs.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "native/engine/sparsity.h"
#include "native/engine/zeros/nonzero-lists.h"
#include "native/tests/graph.h"

namespace tflite_sparse::testing {
namespace {

constexpr uint32_t kSeed = 7;

bool CanSkip() { return nonzero_list_for_this_machine() != nullptr; }

// A graph of one layer between its ends.
struct Layer {
  Layer() : graph(Type::kFloat32, kSeed) {
    const size_t input = graph.Input({14, 14, 128});
    convolution = graph.Convolution(input, 128, Window());
    graph.Output(convolution);
  }

  Graph graph;
  size_t convolution;
};

xnn_zero_layer RunOnce(GraphRun& run, double share_of_zeros) {
  run.SetInputZeros(share_of_zeros);
  run(kSeed);
  return run.ZeroLayers().at(0);
}

TEST(ZeroSkipping, SkipsManyZerosAndNotFew) {
  if (!CanSkip()) {
    GTEST_SKIP() << "this processor has no kernels that skip zeros";
  }
  Layer layer;
  for (const double share : {0.9, 0.0}) {
    GraphRun run(layer.graph, xnn_sparsity_mode_compact);
    const xnn_zero_layer facts = RunOnce(run, share);
    EXPECT_EQ(facts.form,
              share == 0.9 ? xnn_zero_form_zeros : xnn_zero_form_dense);
    EXPECT_EQ(facts.obstacle, nullptr);
    // A tenth of the rows is zero besides.
    EXPECT_NEAR(facts.zeros, 0.1 + 0.9 * share, 0.1);
    EXPECT_LT(facts.pays_from, 0.9);
  }
}

TEST(ZeroSkipping, NoticesWhenALayerBecomesSparse) {
  if (!CanSkip()) {
    GTEST_SKIP() << "this processor has no kernels that skip zeros";
  }
  Layer layer;
  GraphRun run(layer.graph, xnn_sparsity_mode_compact);
  EXPECT_EQ(RunOnce(run, 0.0).form, xnn_zero_form_dense);
  int inferences = 1;
  while (RunOnce(run, 0.9).form != xnn_zero_form_zeros && inferences < 100) {
    inferences++;
  }
  EXPECT_GT(inferences, 1) << "a dense layer is to be looked at rarely";
  EXPECT_LT(inferences, 100);
  EXPECT_EQ(RunOnce(run, 0.0).form, xnn_zero_form_dense);
}

TEST(ZeroSkipping, DoesAsItIsTold) {
  Layer layer;
  GraphRun never(layer.graph, xnn_sparsity_mode_compact, 1, 1,
                 xnn_zeros_mode_never);
  const xnn_zero_layer told = RunOnce(never, 0.9);
  EXPECT_EQ(told.form, xnn_zero_form_dense);
  EXPECT_LT(told.zeros, 0);
  EXPECT_NE(told.obstacle, nullptr);
  EXPECT_EQ(never.ListBytes(), 0u);
  if (CanSkip()) {
    GraphRun always(layer.graph, xnn_sparsity_mode_compact, 1, 1,
                    xnn_zeros_mode_always);
    EXPECT_EQ(RunOnce(always, 0.0).form, xnn_zero_form_zeros);
  }
}

TEST(ZeroSkipping, ListsAreAQuarterOfTheArena) {
  Graph graph(Type::kFloat32, kSeed);
  size_t value = graph.Input({56, 56, 64});
  for (int i = 0; i < 3; i++) {
    value = graph.Convolution(value, 64, Window(), 1, /*relu=*/true);
  }
  graph.Output(value);
  GraphRun run(graph, xnn_sparsity_mode_compact);
  run(kSeed);
  // Sums and visits of one block come on top of the lists.
  EXPECT_LE(run.ListBytes(), run.ArenaBytes() / 4 + 128 * 1024);
  EXPECT_EQ(run.ListBytes() > 0, CanSkip());
}

TEST(ZeroSkipping, WhereItNeverPaysItTakesNoMemory) {
  if (!CanSkip()) {
    GTEST_SKIP() << "this processor has no kernels that skip zeros";
  }
  Graph graph(Type::kFloat32, kSeed);
  Window window;
  window.kernel = 5;
  window.stride = 2;
  graph.Output(graph.Convolution(graph.Input({64, 64, 1}), 16, window));
  GraphRun run(graph, xnn_sparsity_mode_compact);
  const xnn_zero_layer facts = RunOnce(run, 1.0);
  EXPECT_EQ(facts.form, xnn_zero_form_dense);
  EXPECT_GT(facts.pays_from, 1);
  EXPECT_LE(run.ListBytes(), 64u);
}

TEST(ZeroSkipping, WeightsThatAreNotFiniteStayDense) {
  for (const float weight : {std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()}) {
    Layer layer;
    layer.graph.SetWeight(layer.convolution, weight);
    GraphRun run(layer.graph, xnn_sparsity_mode_compact, 1, 1,
                 xnn_zeros_mode_always);
    const xnn_zero_layer facts = RunOnce(run, 0.9);
    EXPECT_EQ(facts.form, xnn_zero_form_dense);
    EXPECT_NE(facts.obstacle, nullptr);
    ExpectSameWithoutZeros(layer.graph, 0.9, kSeed);
  }
}

TEST(ZeroSkipping, SaysWhatItCannotDo) {
  Graph graph(Type::kInt8, kSeed);
  graph.Output(graph.Convolution(graph.Input({8, 8, 16}), 16, Window()));
  GraphRun quantised(graph, xnn_sparsity_mode_compact);
  ASSERT_EQ(quantised.ZeroLayers().size(), 1u);
  EXPECT_NE(quantised.ZeroLayers()[0].obstacle, nullptr);

  Graph depthwise(Type::kFloat32, kSeed);
  depthwise.Output(depthwise.Depthwise(depthwise.Input({8, 8, 16}), Window()));
  GraphRun run(depthwise, xnn_sparsity_mode_compact);
  ASSERT_EQ(run.ZeroLayers().size(), 1u);
  EXPECT_NE(run.ZeroLayers()[0].obstacle, nullptr);
}

TEST(ZeroSkipping, FullyConnectedOfOneRow) {
  Graph graph(Type::kFloat32, kSeed);
  graph.Output(graph.FullyConnected(
      graph.Unary(graph.Mean(graph.Input({6, 6, 700})), xnn_unary_clamp), 333));
  ExpectSameWithoutZeros(graph, 0.5, kSeed);
  GraphRun run(graph, xnn_sparsity_mode_compact, 1, 1, xnn_zeros_mode_always);
  const xnn_zero_layer facts = RunOnce(run, 0.5);
  // Only old processors have no kernel.
  EXPECT_EQ(facts.form, facts.obstacle == nullptr ? xnn_zero_form_zeros
                                                  : xnn_zero_form_dense);
#if defined(__aarch64__)
  EXPECT_EQ(facts.obstacle, nullptr) << facts.obstacle;
#endif
}

}  // namespace
}  // namespace tflite_sparse::testing
