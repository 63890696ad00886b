// Small graphs for tests: built the same way, from the same seed, for one mode
// of the engine or another, then run.

#ifndef TFLITE_SPARSE_NATIVE_TESTS_GRAPH_H_
#define TFLITE_SPARSE_NATIVE_TESTS_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "native/engine/sparsity.h"
#include "pthreadpool.h"
#include "xnnpack.h"

namespace tflite_sparse::testing {

// float16: float32 at the graph's ends and in its static values, as XNNPACK
// makes it on request.
enum class Type { kFloat32, kFloat16, kInt8, kUint8 };

std::string Name(Type type);

// Whether this machine computes in a type: not every Arm has float16.
bool IsSupported(Type type);

struct Mask {
  size_t height;
  size_t width;
  std::vector<uint8_t> kept;

  size_t Count() const;
};

Mask RandomMask(size_t height, size_t width, double sparsity,
                std::mt19937& random);

// Keeps the first `count` pixels in raster order.
Mask FirstPixels(size_t height, size_t width, size_t count);

// Keeps the pixels that a predicate of (y, x) chooses.
Mask Where(size_t height, size_t width,
           const std::function<bool(size_t, size_t)>& keeps);

// Masks the pixels of a lattice: periodic, so that a convolution's windows have
// few patterns of live taps.
Mask LatticeMask(size_t height, size_t width, std::mt19937& random);

struct Plane {
  size_t height;
  size_t width;
  size_t channels;
};

struct Window {
  size_t kernel = 3;
  size_t stride = 1;
  size_t dilation = 1;
  // Explicit padding on all sides, unless `same`.
  size_t padding = 1;
  bool same = false;
};

struct Tensor {
  std::vector<size_t> shape;
  std::vector<float> values;
};

// A convolution as its defining sum has it: real numbers, those that the
// quantised ones stand for.
struct Convolution {
  size_t input;
  size_t output;
  Window window;
  size_t groups;
  size_t group_input_channels;
  size_t group_output_channels;
  // [output channel][ky][kx][input channel of its group], [output channel].
  std::vector<float> weights;
  std::vector<float> bias;
};

class Graph {
 public:
  Graph(Type type, uint32_t seed);

  size_t Input(Plane plane);
  size_t Convolution(size_t input, size_t channels, Window window,
                     size_t groups = 1, bool relu = false);
  // Float only: gives the first weight of the convolution that writes `value`.
  void SetWeight(size_t value, float weight);
  size_t Depthwise(size_t input, Window window, size_t multiplier = 1);
  // Float only: each row by itself.
  size_t FullyConnected(size_t input, size_t channels);
  size_t MaxPool(size_t input, Window window);
  size_t AveragePool(size_t input, size_t size);
  size_t Unary(size_t input, xnn_unary_operator op);
  size_t Binary(size_t a, size_t b, xnn_binary_operator op);
  // Multiplies (or adds) a random static value of one element a channel.
  size_t BinaryWithChannels(size_t input, xnn_binary_operator op);
  // The same with static values: one, or one a channel.
  size_t BinaryWithStatic(size_t input, xnn_binary_operator op,
                          const std::vector<float>& values);
  size_t Concatenate(size_t a, size_t b);
  std::vector<size_t> Split(size_t input);
  size_t Mean(size_t input);
  size_t Mask(size_t input, const testing::Mask& mask);
  // A multiply by any static [shape] values.
  size_t MultiplyByStatic(size_t input, std::vector<size_t> shape,
                          std::vector<float> values);
  void Output(size_t value);

  const Plane& PlaneOf(size_t value) const { return planes_[value]; }
  // One line a value: what makes it, from what, and its shape.
  const std::string& Description() const { return description_; }
  const std::vector<struct Convolution>& Convolutions() const {
    return convolutions_;
  }
  // Difference between neighbouring numbers of a quantised value; 0 in float.
  float StepOf(size_t value) const;
  bool IsUnread(size_t value) const { return !definitions_[value].is_read; }

 private:
  friend class GraphRun;

  struct Definition {
    bool is_input = false;
    bool is_output = false;
    bool is_read = false;
    size_t rank = 4;
    float scale = 0.05f;
    int32_t zero_point = 0;
  };
  using Step =
      std::function<xnn_status(xnn_subgraph_t, const std::vector<uint32_t>&)>;

  size_t NewValue(const std::string& what, const std::vector<size_t>& inputs,
                  Plane plane, float scale, size_t rank = 4);
  float OutputScale(size_t input, float magnitude) const;
  uint32_t DefineStatic(xnn_subgraph_t subgraph, xnn_datatype datatype,
                        const std::vector<size_t>& shape, const void* data,
                        float scale, int32_t zero_point) const;
  const void* Keep(std::vector<uint8_t> bytes);
  std::vector<uint8_t> Encode(const std::vector<float>& values, float scale,
                              int32_t zero_point) const;
  std::vector<float> RandomValues(size_t count, float magnitude);
  size_t ConvolutionLike(size_t input, Plane output, Window window,
                         size_t groups, size_t group_input_channels,
                         size_t group_output_channels, bool depthwise,
                         bool relu);

  const Type type_;
  std::mt19937 random_;
  std::string description_;
  std::vector<Plane> planes_;
  std::vector<Definition> definitions_;
  std::vector<Step> steps_;
  std::vector<struct Convolution> convolutions_;
  // Filters by the value that their convolution writes.
  std::map<size_t, std::vector<uint8_t>*> filters_;
  // Static data and scales; a list so that addresses stay.
  std::list<std::vector<uint8_t>> kept_;
  std::list<std::vector<float>> scales_;
};

// A runtime of a graph.
class GraphRun {
 public:
  // Throws std::runtime_error if XNNPACK refuses.
  GraphRun(const Graph& graph, xnn_sparsity_mode mode, size_t threads = 1,
           size_t batch = 1, xnn_zeros_mode zeros = xnn_zeros_mode_auto);

  // Another runtime of the same subgraph.
  explicit GraphRun(const GraphRun& other, size_t threads = 1);

  // Runs on inputs drawn from a seed; returns the outputs in the order in
  // which they were declared. The batch size may change from call to call.
  std::vector<Tensor> operator()(uint32_t input_seed, size_t batch = 1);

  // From now on, inputs have this share of zeros, some of them negative, rows
  // and now and then planes of nothing else, and few numbers that are infinite,
  // NaN or denormal. Float only.
  void SetInputZeros(double share) { input_zeros_ = share; }

  // What the last call ran on, in the order in which inputs were declared.
  const std::vector<Tensor>& Inputs() const { return inputs_; }

  std::vector<xnn_masked_layer> Layers() const;
  std::vector<xnn_zero_layer> ZeroLayers() const;
  size_t ArenaBytes() const;
  size_t ListBytes() const;
  size_t SparsityBytes() const;

 private:
  void CreateRuntime();

  const Graph& graph_;
  double input_zeros_ = -1;
  std::vector<Tensor> inputs_;
  std::unique_ptr<pthreadpool, void (*)(pthreadpool_t)> threads_;
  std::shared_ptr<xnn_subgraph> subgraph_;
  std::unique_ptr<xnn_runtime, xnn_status (*)(xnn_runtime_t)> runtime_;
};

// Expects a graph to give, in both sparse modes and for 1 and 3 threads and
// batches of 1 and 2, exactly what it gives with its multiplies run as written.
void ExpectSameAsWritten(const Graph& graph, uint32_t seed);

// Expects a float graph to give the same, NaN for NaN, whether it skips zeros
// or not: in each mode, for 1, 2 and 4 threads and batches of 1 to 3.
void ExpectSameWithoutZeros(const Graph& graph, double share_of_zeros,
                            uint32_t seed);

}  // namespace tflite_sparse::testing

#endif  // TFLITE_SPARSE_NATIVE_TESTS_GRAPH_H_
