// Random graphs with random masks give what they give as written.
//
// TFLITE_SPARSE_SEED=n draws others, TFLITE_SPARSE_GRAPHS=n so many.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "native/tests/graph.h"
#include "native/tests/seed.h"

namespace tflite_sparse::testing {
namespace {

class Generator {
 public:
  Generator(Type type, uint32_t seed)
      : type_(type), random_(seed), graph_(type, seed) {}

  const Graph& Generate() {
    values_.push_back(graph_.Input({Pick(5, 14), Pick(5, 14), Pick(1, 20)}));
    const size_t num_nodes = Pick(4, 18);
    for (size_t n = 0; n < num_nodes; n++) {
      AddNode(values_[Pick(0, values_.size() - 1)]);
    }
    for (const size_t value : values_) {
      if (value != values_[0] && (graph_.IsUnread(value) || Pick(0, 9) == 0)) {
        graph_.Output(value);
      }
    }
    return graph_;
  }

 private:
  size_t Pick(size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(random_);
  }

  // Few masks a plane, so that layers often share one.
  Mask PickMask(const Plane& plane) {
    std::vector<Mask> known;
    for (const Mask& mask : masks_) {
      if (mask.height == plane.height && mask.width == plane.width) {
        known.push_back(mask);
      }
    }
    if (!known.empty() && Pick(0, 3) != 0) {
      return known[Pick(0, known.size() - 1)];
    }
    Mask mask = Pick(0, 1)
                    ? RandomMask(plane.height, plane.width,
                                 static_cast<double>(Pick(0, 10)) / 10, random_)
                    : LatticeMask(plane.height, plane.width, random_);
    // Arm has a kernel for one row alone, which rounds a sum otherwise.
    if (mask.Count() == 1 && !IsQuantized()) {
      mask = FirstPixels(plane.height, plane.width, 2);
    }
    masks_.push_back(mask);
    return masks_.back();
  }

  Window PickWindow(const Plane& plane) {
    const size_t smallest = std::min(plane.height, plane.width);
    Window window;
    window.kernel = smallest >= 3 && Pick(0, 1) ? 3 : 1;
    window.stride = smallest >= 5 && Pick(0, 4) == 0 ? 2 : 1;
    window.same = window.kernel == 3 && Pick(0, 1);
    window.padding = window.kernel / 2;
    return window;
  }

  // Another value of the same shape, or `value` itself.
  size_t Partner(size_t value) {
    std::vector<size_t> partners;
    for (const size_t other : values_) {
      const Plane& a = graph_.PlaneOf(value);
      const Plane& b = graph_.PlaneOf(other);
      if (a.height == b.height && a.width == b.width &&
          a.channels == b.channels) {
        partners.push_back(other);
      }
    }
    return partners[Pick(0, partners.size() - 1)];
  }

  void AddNode(size_t value) {
    const Plane plane = graph_.PlaneOf(value);
    size_t result = value;
    switch (Pick(0, type_ == Type::kFloat32 ? 11 : 9)) {
      case 0:
      case 1:
      case 2: {
        // Enough channels for several blocks, in two groups, now and then.
        const size_t channels =
            Pick(0, 3) == 0 ? 2 * Pick(20, 90) : Pick(1, 40);
        const bool is_grouped = (plane.channels | channels) % 2 == 0;
        result = graph_.Convolution(value, channels, PickWindow(plane),
                                    is_grouped && Pick(0, 3) == 0 ? 2 : 1,
                                    Pick(0, 1));
        break;
      }
      case 3:
        result = graph_.Depthwise(value, PickWindow(plane));
        break;
      case 4: {
        Window window = PickWindow(plane);
        window.kernel = 2 + Pick(0, 1);
        window.padding = window.kernel / 2;
        result = graph_.MaxPool(value, window);
        break;
      }
      case 5:
        result =
            graph_.Binary(value, Partner(value),
                          Pick(0, 1) ? xnn_binary_add : xnn_binary_multiply);
        break;
      case 6: {
        const xnn_unary_operator ops[] = {xnn_unary_sigmoid, xnn_unary_clamp,
                                          xnn_unary_leaky_relu, xnn_unary_tanh};
        result = graph_.Unary(value, ops[Pick(0, 3)]);
        break;
      }
      case 7:
        result = graph_.BinaryWithChannels(
            value, Pick(0, 1) ? xnn_binary_add : xnn_binary_multiply);
        break;
      case 8:
        if (!IsQuantized()) {
          result = graph_.Concatenate(value, Partner(value));
        }
        break;
      case 9:
        if (plane.channels % 2 == 0) {
          const std::vector<size_t> halves = graph_.Split(value);
          values_.push_back(halves[0]);
          result = halves[1];
        }
        break;
      case 10:
        result = graph_.FullyConnected(value, Pick(1, 100));
        break;
      case 11: {
        // A threshold: one node, or as many as it is written.
        size_t factor = graph_.BinaryWithStatic(
            value, xnn_binary_subtract,
            {0.25f * static_cast<float>(Pick(0, 4)) - 0.5f});
        factor = graph_.Unary(graph_.Unary(factor, xnn_unary_clamp),
                              xnn_unary_ceiling);
        factor = graph_.BinaryWithStatic(factor, xnn_binary_minimum, {1.0f});
        if (Pick(0, 4) == 0) {
          values_.push_back(factor);
        }
        result = graph_.Binary(value, factor, xnn_binary_multiply);
        break;
      }
    }
    if (graph_.PlaneOf(result).height * graph_.PlaneOf(result).width > 1 &&
        Pick(0, 2) != 0) {
      result = graph_.Mask(result, PickMask(graph_.PlaneOf(result)));
    }
    values_.push_back(result);
  }

  // Concatenation needs equal scales, which random partners do not have.
  bool IsQuantized() const {
    return type_ == Type::kInt8 || type_ == Type::kUint8;
  }

  const Type type_;
  std::mt19937 random_;
  Graph graph_;
  std::vector<size_t> values_;
  std::vector<Mask> masks_;
};

class RandomGraph : public ::testing::TestWithParam<Type> {};

TEST_P(RandomGraph, GivesWhatItGivesAsWritten) {
  const uint32_t first = Seed();
  const uint32_t count = FromEnvironment("TFLITE_SPARSE_GRAPHS", 60);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t seed = first + i;
    SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(seed) +
                 " TFLITE_SPARSE_GRAPHS=1");
    Generator generator(GetParam(), seed);
    ExpectSameAsWritten(generator.Generate(), seed);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST(RandomGraphs, GiveTheSameWithoutZeros) {
  const uint32_t first = Seed();
  const uint32_t count = FromEnvironment("TFLITE_SPARSE_GRAPHS", 60);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t seed = first + i;
    SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(seed) +
                 " TFLITE_SPARSE_GRAPHS=1");
    Generator generator(Type::kFloat32, seed);
    ExpectSameWithoutZeros(generator.Generate(), seed % 11 / 10.0, seed);
    if (HasFatalFailure()) {
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, RandomGraph,
                         ::testing::Values(Type::kFloat32, Type::kInt8,
                                           Type::kUint8),
                         [](const auto& info) { return Name(info.param); });

}  // namespace
}  // namespace tflite_sparse::testing
