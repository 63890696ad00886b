// Runtimes of one subgraph share its plans, and nothing else: each is reshaped
// and run by a thread of its own, with batches of its own.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "native/tests/graph.h"

namespace tflite_sparse::testing {
namespace {

constexpr uint32_t kSeed = 13;

// One row, then many: XNNPACK's tiles, and with them the live taps, differ.
Graph NewGraph() {
  std::mt19937 random(kSeed);
  const auto mask = RandomMask(9, 8, 0.6, random);
  Graph graph(Type::kFloat32, kSeed);
  size_t x = graph.Input({9, 8, 8});
  x = graph.Mask(graph.Convolution(x, 40, {3, 1, 1, 1}), mask);
  x = graph.Mask(graph.Convolution(x, 40, {3, 1, 1, 1}), mask);
  x = graph.Mask(graph.Depthwise(x, {3, 1, 1, 1}), mask);
  x = graph.Mask(graph.MaxPool(x, {3, 1, 1, 1}), mask);
  graph.Output(graph.Unary(x, xnn_unary_sigmoid));
  graph.Output(graph.Convolution(x, 8, {1, 1, 1, 0}));
  return graph;
}

void RunRounds(GraphRun& run, size_t batches, size_t rounds,
               std::vector<std::vector<Tensor>>& results) {
  for (size_t i = 0; i < rounds; i++) {
    results.push_back(run(kSeed, 1 + i % batches));
  }
}

TEST(SharedSubgraph, RuntimesRunSideBySide) {
  constexpr size_t kRounds = 60;
  const Graph graph = NewGraph();
  GraphRun alone(graph, xnn_sparsity_mode_compact);
  std::vector<std::vector<Tensor>> expected;
  RunRounds(alone, 3, kRounds, expected);

  GraphRun first(graph, xnn_sparsity_mode_compact);
  GraphRun second(first, 2);
  std::vector<std::vector<Tensor>> of_first;
  std::vector<std::vector<Tensor>> of_second;
  std::thread thread([&] { RunRounds(second, 3, kRounds, of_second); });
  RunRounds(first, 2, kRounds, of_first);
  thread.join();

  for (size_t i = 0; i < kRounds; i++) {
    for (size_t o = 0; o < expected[i].size(); o++) {
      EXPECT_EQ(of_second[i][o].values, expected[i][o].values) << "round " << i;
      EXPECT_EQ(of_first[i][o].values, expected[i % 2][o].values)
          << "round " << i;
    }
  }
}

TEST(SharedSubgraph, ARuntimeOutlivesTheOthers) {
  const Graph graph = NewGraph();
  GraphRun alone(graph, xnn_sparsity_mode_compact);
  auto first = std::make_unique<GraphRun>(graph, xnn_sparsity_mode_compact);
  GraphRun second(*first);
  (*first)(kSeed, 2);
  first.reset();
  const std::vector<Tensor> expected = alone(kSeed, 3);
  const std::vector<Tensor> actual = second(kSeed, 3);
  for (size_t o = 0; o < expected.size(); o++) {
    EXPECT_EQ(actual[o].values, expected[o].values);
  }
}

}  // namespace
}  // namespace tflite_sparse::testing
