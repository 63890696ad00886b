// Thresholds in the exact form of a .tflite: one node, with the numbers of
// five.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "xnnpack/node-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// x * min(ceil(relu(x - t)), 1), and ways to write something else.
struct Graph {
  std::vector<size_t> shape = {1, 3, 5, 7};
  std::vector<size_t> threshold_shape = {1};
  std::vector<float> thresholds = {0.125f};
  std::vector<size_t> bound_shape = {1};
  std::vector<float> bound = {1.0f};
  float relu_min = 0.0f;
  float relu_max = kInfinity;
  bool factor_first = false;
  bool bound_first = false;
  bool threshold_is_input = false;
  // Multiplies another value than what is compared.
  bool multiplies_other = false;
  // Of the values between, 0 to 3, one that is an output too.
  int shown = -1;
};

class GraphRun {
 public:
  explicit GraphRun(const Graph& graph) {
    EXPECT_EQ(xnn_initialize(nullptr), xnn_status_success);
    xnn_subgraph_t subgraph = nullptr;
    EXPECT_EQ(xnn_create_subgraph(4, 0, &subgraph), xnn_status_success);
    subgraph_.reset(subgraph);
    const uint32_t x = Define(graph.shape, nullptr, 0);
    const uint32_t y = Define(graph.shape, nullptr, 1);
    const uint32_t t =
        graph.threshold_is_input
            ? Define(graph.threshold_shape, nullptr, 2)
            : Define(graph.threshold_shape, graph.thresholds.data(), -1);
    const uint32_t one = Define(graph.bound_shape, graph.bound.data(), -1);
    uint32_t between[4];
    for (int i = 0; i < 4; i++) {
      between[i] = Define(graph.shape, nullptr, graph.shown == i ? 3 : -1);
    }
    uint32_t other = x;
    if (graph.multiplies_other) {
      other = Define(graph.shape, nullptr, -1);
      Unary(xnn_unary_negate, nullptr, x, other);
    }
    Binary(xnn_binary_subtract, x, t, between[0]);
    xnn_unary_params params;
    params.clamp.min = graph.relu_min;
    params.clamp.max = graph.relu_max;
    Unary(xnn_unary_clamp, &params, between[0], between[1]);
    Unary(xnn_unary_ceiling, nullptr, between[1], between[2]);
    Binary(xnn_binary_minimum, graph.bound_first ? one : between[2],
           graph.bound_first ? between[2] : one, between[3]);
    Binary(xnn_binary_multiply, graph.factor_first ? between[3] : other,
           graph.factor_first ? other : between[3], y);
    xnn_runtime_t runtime = nullptr;
    EXPECT_EQ(xnn_create_runtime_v2(subgraph, nullptr, 0, &runtime),
              xnn_status_success);
    runtime_.reset(runtime);
    for (size_t i = 0; i < runtime->num_ops; i++) {
      num_operators_ += runtime->opdata[i].operator_objects[0] != nullptr;
    }
    has_input_threshold_ = graph.threshold_is_input;
    thresholds_ = graph.thresholds;
    shows_ = graph.shown >= 0;
  }

  size_t num_operators() const { return num_operators_; }

  std::vector<float> operator()(std::vector<float> x) {
    std::vector<float> y(x.size(), 77.0f);
    std::vector<float> shown(x.size());
    std::vector<xnn_external_value> values = {{0, x.data()}, {1, y.data()}};
    if (has_input_threshold_) {
      values.push_back({2, thresholds_.data()});
    }
    if (shows_) {
      values.push_back({3, shown.data()});
    }
    EXPECT_EQ(xnn_setup_runtime(runtime_.get(), values.size(), values.data()),
              xnn_status_success);
    EXPECT_EQ(xnn_invoke_runtime(runtime_.get()), xnn_status_success);
    return y;
  }

 private:
  // An external value if its number is not negative: 0 and 2 are inputs.
  uint32_t Define(const std::vector<size_t>& shape, const float* data,
                  int external) {
    uint32_t id = XNN_INVALID_VALUE_ID;
    const uint32_t flags = external < 0        ? 0
                           : external % 2 == 0 ? XNN_VALUE_FLAG_EXTERNAL_INPUT
                                               : XNN_VALUE_FLAG_EXTERNAL_OUTPUT;
    EXPECT_EQ(
        xnn_define_tensor_value(subgraph_.get(), xnn_datatype_fp32,
                                shape.size(), shape.data(), data,
                                external < 0 ? XNN_INVALID_VALUE_ID
                                             : static_cast<uint32_t>(external),
                                flags, &id),
        xnn_status_success);
    return id;
  }

  void Unary(xnn_unary_operator op, const xnn_unary_params* params,
             uint32_t input, uint32_t output) {
    EXPECT_EQ(xnn_define_unary(subgraph_.get(), op, params, input, output, 0),
              xnn_status_success);
  }

  void Binary(xnn_binary_operator op, uint32_t a, uint32_t b, uint32_t output) {
    EXPECT_EQ(xnn_define_binary(subgraph_.get(), op, nullptr, a, b, output, 0),
              xnn_status_success);
  }

  std::unique_ptr<xnn_subgraph, decltype(&xnn_delete_subgraph)> subgraph_{
      nullptr, xnn_delete_subgraph};
  std::unique_ptr<xnn_runtime, decltype(&xnn_delete_runtime)> runtime_{
      nullptr, xnn_delete_runtime};
  size_t num_operators_ = 0;
  bool has_input_threshold_ = false;
  bool shows_ = false;
  std::vector<float> thresholds_;
};

// What lies around each threshold, and far from it.
std::vector<float> Edges(const Graph& graph) {
  const float t = graph.thresholds[0];
  const std::vector<float> edges = {
      t,
      std::nextafter(t, kInfinity),
      std::nextafter(t, -kInfinity),
      -t,
      0.0f,
      -0.0f,
      1.0f,
      -1.0f,
      0.5f,
      std::numeric_limits<float>::denorm_min(),
      -std::numeric_limits<float>::denorm_min(),
      std::numeric_limits<float>::min(),
      std::numeric_limits<float>::max(),
      std::numeric_limits<float>::lowest(),
      kInfinity,
      -kInfinity,
      kNaN,
  };
  size_t count = 1;
  for (const size_t dim : graph.shape) {
    count *= dim;
  }
  std::vector<float> x(count);
  for (size_t i = 0; i < count; i++) {
    x[i] = edges[(i + i / edges.size()) % edges.size()];
  }
  return x;
}

// The nodes as written: upstream runs them if a value between is an output.
void ExpectSameAsWritten(const Graph& graph) {
  Graph written = graph;
  written.shown = 0;
  GraphRun run_written(written);
  ASSERT_EQ(run_written.num_operators(), 5u);
  const std::vector<float> x = Edges(graph);
  const std::vector<float> expected = run_written(x);
  const std::vector<float> actual = GraphRun(graph)(x);
  for (size_t i = 0; i < x.size(); i++) {
    EXPECT_TRUE(actual[i] == expected[i] ||
                (std::isnan(actual[i]) && std::isnan(expected[i])))
        << "of " << x[i] << ": " << actual[i] << ", as written " << expected[i];
  }
}

TEST(Threshold, IsOneNodeWithTheNumbersOfFive) {
  for (const float t : {0.125f, 0.0f, 0.3f, -0.25f, 1e-40f, 3e38f}) {
    for (const bool factor_first : {false, true}) {
      for (const bool bound_first : {false, true}) {
        SCOPED_TRACE("t " + std::to_string(t));
        Graph graph;
        graph.thresholds = {t};
        graph.factor_first = factor_first;
        graph.bound_first = bound_first;
        EXPECT_EQ(GraphRun(graph).num_operators(), 1u);
        ExpectSameAsWritten(graph);
      }
    }
  }
}

TEST(Threshold, MayDifferByChannelOrElement) {
  Graph graph;
  for (const std::vector<size_t>& shape :
       std::vector<std::vector<size_t>>{{7}, {1, 1, 1, 7}, {1, 3, 5, 7}}) {
    graph.threshold_shape = shape;
    graph.thresholds.clear();
    const size_t count =
        shape.back() == 7 && shape.size() == 4 && shape[1] == 3 ? 105 : 7;
    for (size_t i = 0; i < count; i++) {
      graph.thresholds.push_back(0.125f * static_cast<float>(i % 9) - 0.25f);
    }
    EXPECT_EQ(GraphRun(graph).num_operators(), 1u);
    ExpectSameAsWritten(graph);
  }
}

TEST(Threshold, ReluMayEndAnywhere) {
  for (const float end : {6.0f, 1.0f, 0.5f}) {
    Graph graph;
    graph.relu_max = end;
    EXPECT_EQ(GraphRun(graph).num_operators(), 1u);
    ExpectSameAsWritten(graph);
  }
}

TEST(Threshold, OfOneElement) {
  Graph graph;
  graph.shape = {1, 1};
  EXPECT_EQ(GraphRun(graph).num_operators(), 1u);
  ExpectSameAsWritten(graph);
  EXPECT_EQ(GraphRun(graph)({0.5f})[0], 0.5f);
  EXPECT_EQ(GraphRun(graph)({0.125f})[0], 0.0f);
}

// What is almost a threshold runs as written.
TEST(Threshold, NothingElseIsOne) {
  std::vector<Graph> others(9);
  others[0].thresholds = {kInfinity};
  others[1].thresholds = {kNaN};
  others[2].threshold_is_input = true;
  others[3].bound = {2.0f};
  others[4].relu_min = -1.0f;
  others[5].multiplies_other = true;
  for (int i = 1; i < 4; i++) {
    others[5 + static_cast<size_t>(i)].shown = i;
  }
  for (size_t i = 0; i < others.size(); i++) {
    EXPECT_EQ(GraphRun(others[i]).num_operators(),
              others[i].multiplies_other ? 6u : 5u)
        << "graph " << i;
  }
}

}  // namespace
