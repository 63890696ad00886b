#include "native/tests/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace tflite_sparse::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kWeightScale = 0.01f;

bool IsQuantized(Type type) {
  return type == Type::kInt8 || type == Type::kUint8;
}

xnn_datatype DataType(Type type) {
  switch (type) {
    case Type::kFloat32:
    case Type::kFloat16:
      return xnn_datatype_fp32;
    case Type::kInt8:
      return xnn_datatype_qint8;
    case Type::kUint8:
      return xnn_datatype_quint8;
  }
  throw std::logic_error("no such type");
}

size_t ElementSize(Type type) { return IsQuantized(type) ? 1 : 4; }

int32_t ZeroPoint(Type type) {
  return type == Type::kInt8 ? -7 : type == Type::kUint8 ? 121 : 0;
}

size_t Product(const std::vector<size_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), size_t{1},
                         std::multiplies<size_t>());
}

class UnsupportedHardware : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

void Check(xnn_status status, const char* what) {
  if (status == xnn_status_unsupported_hardware) {
    throw UnsupportedHardware(what);
  }
  if (status != xnn_status_success) {
    throw std::runtime_error(std::string(what) + " failed with status " +
                             std::to_string(status));
  }
}

float Decode(Type type, const uint8_t* bytes, size_t i, float scale,
             int32_t zero_point) {
  switch (type) {
    case Type::kFloat32:
    case Type::kFloat16: {
      float value;
      std::memcpy(&value, bytes + 4 * i, 4);
      return value;
    }
    case Type::kInt8:
      return scale *
             static_cast<float>(static_cast<int8_t>(bytes[i]) - zero_point);
    case Type::kUint8:
      return scale * static_cast<float>(bytes[i] - zero_point);
  }
  throw std::logic_error("no such type");
}

// Sums of few thousand products of such values are exact in float32, in any
// order: kernels of one row, on Arm, add in another order than those of many.
std::vector<float> RandomOnGrid(size_t count, float magnitude,
                                std::mt19937& random) {
  constexpr float kSteps = 128.0f;
  std::uniform_real_distribution<float> uniform(-magnitude, magnitude);
  std::vector<float> values(count);
  std::generate(values.begin(), values.end(), [&] {
    return std::nearbyint(uniform(random) * kSteps) / kSteps;
  });
  return values;
}

void MakeZeros(double share, size_t channels, std::mt19937& random,
               std::vector<float>& values) {
  std::uniform_real_distribution<double> uniform(0, 1);
  const bool all_zero = uniform(random) < 0.05;
  for (size_t row = 0; row < values.size(); row += channels) {
    const bool zero_row = all_zero || uniform(random) < 0.1;
    for (size_t i = row; i < row + channels; i++) {
      if (zero_row || uniform(random) < share) {
        values[i] = uniform(random) < 0.25 ? -0.0f : 0.0f;
      } else if (uniform(random) < 0.002) {
        const float special[] = {kInfinity, -kInfinity,
                                 std::numeric_limits<float>::quiet_NaN(),
                                 std::numeric_limits<float>::denorm_min()};
        values[i] = special[random() % 4];
      }
    }
  }
}

size_t WindowOutput(size_t input, const Window& window) {
  const size_t extent = (window.kernel - 1) * window.dilation + 1;
  return window.same
             ? (input + window.stride - 1) / window.stride
             : (input + 2 * window.padding - extent) / window.stride + 1;
}

std::string Text(const Window& window) {
  return "kernel " + std::to_string(window.kernel) + " stride " +
         std::to_string(window.stride) + " dilation " +
         std::to_string(window.dilation) + " padding " +
         (window.same ? "same" : std::to_string(window.padding));
}

std::vector<size_t> Shape(const Plane& plane, size_t rank, size_t batch) {
  return rank == 4 ? std::vector<size_t>{batch, plane.height, plane.width,
                                         plane.channels}
                   : std::vector<size_t>{batch, plane.channels};
}

}  // namespace

std::string Name(Type type) {
  switch (type) {
    case Type::kFloat32:
      return "float32";
    case Type::kFloat16:
      return "float16";
    case Type::kInt8:
      return "int8";
    case Type::kUint8:
      return "uint8";
  }
  return "";
}

bool IsSupported(Type type) {
  Graph graph(type, 0);
  graph.Output(graph.Convolution(graph.Input({1, 1, 1}), 1, {1, 1, 1, 0}));
  try {
    GraphRun run(graph, xnn_sparsity_mode_off);
  } catch (const UnsupportedHardware&) {
    return false;
  }
  return true;
}

size_t Mask::Count() const {
  return static_cast<size_t>(std::count(kept.begin(), kept.end(), 1));
}

Mask Where(size_t height, size_t width,
           const std::function<bool(size_t, size_t)>& keeps) {
  Mask mask{height, width, std::vector<uint8_t>(height * width)};
  for (size_t y = 0; y < height; y++) {
    for (size_t x = 0; x < width; x++) {
      mask.kept[y * width + x] = keeps(y, x);
    }
  }
  return mask;
}

Mask FirstPixels(size_t height, size_t width, size_t count) {
  return Where(height, width,
               [=](size_t y, size_t x) { return y * width + x < count; });
}

Mask RandomMask(size_t height, size_t width, double sparsity,
                std::mt19937& random) {
  Mask mask = FirstPixels(
      height, width,
      std::max<size_t>(
          1, static_cast<size_t>(std::lround(
                 static_cast<double>(height * width) * (1 - sparsity)))));
  std::shuffle(mask.kept.begin(), mask.kept.end(), random);
  return mask;
}

Mask LatticeMask(size_t height, size_t width, std::mt19937& random) {
  const auto pick = [&](size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(random);
  };
  const size_t period = pick(2, 5);
  const size_t slope = pick(0, period - 1);
  const size_t phase = pick(0, period - 1);
  const size_t masked = pick(1, period - 1);
  return Where(height, width, [&](size_t y, size_t x) {
    return (slope * y + x + phase) % period >= masked;
  });
}

Graph::Graph(Type type, uint32_t seed) : type_(type), random_(seed) {}

size_t Graph::NewValue(const std::string& what,
                       const std::vector<size_t>& inputs, Plane plane,
                       float scale, size_t rank) {
  description_ += "value " + std::to_string(planes_.size()) + " = " + what +
                  " of " + ::testing::PrintToString(inputs) + ", shape " +
                  ::testing::PrintToString(Shape(plane, rank, 1)) + "\n";
  for (const size_t input : inputs) {
    definitions_[input].is_read = true;
  }
  planes_.push_back(plane);
  Definition definition;
  definition.rank = rank;
  definition.scale = scale;
  definition.zero_point = ZeroPoint(type_);
  definitions_.push_back(definition);
  return planes_.size() - 1;
}

const void* Graph::Keep(std::vector<uint8_t> bytes) {
  bytes.resize(bytes.size() + XNN_EXTRA_BYTES);
  kept_.push_back(std::move(bytes));
  return kept_.back().data();
}

std::vector<uint8_t> Graph::Encode(const std::vector<float>& values,
                                   float scale, int32_t zero_point) const {
  std::vector<uint8_t> bytes(values.size() * ElementSize(type_));
  for (size_t i = 0; i < values.size(); i++) {
    const auto quantized = [&](int32_t low, int32_t high) {
      const auto q = static_cast<int32_t>(std::lrint(values[i] / scale));
      return static_cast<uint8_t>(std::clamp(q + zero_point, low, high));
    };
    switch (type_) {
      case Type::kFloat32:
      case Type::kFloat16:
        std::memcpy(&bytes[4 * i], &values[i], 4);
        break;
      case Type::kInt8:
        bytes[i] = quantized(-128, 127);
        break;
      case Type::kUint8:
        bytes[i] = quantized(0, 255);
        break;
    }
  }
  return bytes;
}

std::vector<float> Graph::RandomValues(size_t count, float magnitude) {
  return RandomOnGrid(count, magnitude, random_);
}

uint32_t Graph::DefineStatic(xnn_subgraph_t subgraph, xnn_datatype datatype,
                             const std::vector<size_t>& shape, const void* data,
                             float scale, int32_t zero_point) const {
  uint32_t id = XNN_INVALID_VALUE_ID;
  if (datatype == xnn_datatype_fp32 || datatype == xnn_datatype_fp16) {
    Check(
        xnn_define_tensor_value(subgraph, datatype, shape.size(), shape.data(),
                                data, XNN_INVALID_VALUE_ID, 0, &id),
        "define a static value");
  } else {
    Check(xnn_define_quantized_tensor_value(subgraph, datatype, zero_point,
                                            scale, shape.size(), shape.data(),
                                            data, XNN_INVALID_VALUE_ID, 0, &id),
          "define a static quantised value");
  }
  return id;
}

size_t Graph::Input(Plane plane) {
  const size_t value = NewValue("input", {}, plane, 0.02f);
  definitions_[value].is_input = true;
  return value;
}

void Graph::Output(size_t value) { definitions_[value].is_output = true; }

float Graph::StepOf(size_t value) const {
  return IsQuantized(type_) ? definitions_[value].scale : 0.0f;
}

float Graph::OutputScale(size_t input, float magnitude) const {
  return definitions_[input].scale * magnitude;
}

size_t Graph::ConvolutionLike(size_t input, Plane output_plane, Window window,
                              size_t groups, size_t group_input_channels,
                              size_t group_output_channels, bool depthwise,
                              bool relu) {
  const auto taps =
      static_cast<float>(window.kernel * window.kernel * group_input_channels);
  // Keeps the magnitude of activations from layer to layer.
  const float magnitude = std::sqrt(3.0f / taps);
  const size_t output =
      NewValue((depthwise ? "depthwise " : "convolution ") + Text(window),
               {input}, output_plane, definitions_[input].scale);
  const size_t channels = output_plane.channels;
  const std::vector<size_t> filter_shape =
      depthwise ? std::vector<size_t>{1, window.kernel, window.kernel, channels}
                : std::vector<size_t>{channels, window.kernel, window.kernel,
                                      group_input_channels};
  const std::vector<float> weights =
      RandomValues(Product(filter_shape), magnitude);
  const float weight_scale = magnitude / 127.0f;
  const void* filter_data =
      Keep(Encode(weights, weight_scale, type_ == Type::kUint8 ? 127 : 0));

  filters_[output] = &kept_.back();

  const void* bias_data = nullptr;
  std::vector<float> bias = RandomValues(channels, 0.2f);
  if (IsQuantized(type_)) {
    std::vector<uint8_t> bytes(channels * 4);
    for (size_t c = 0; c < channels; c++) {
      const auto q = static_cast<int32_t>(
          std::lrint(bias[c] / (weight_scale * definitions_[input].scale)));
      std::memcpy(&bytes[4 * c], &q, 4);
    }
    bias_data = Keep(std::move(bytes));
  } else {
    bias_data = Keep(Encode(bias, 1.0f, 0));
  }
  // Per channel in int8: scales that differ from channel to channel.
  std::vector<float> scales(channels);
  for (size_t c = 0; c < channels; c++) {
    scales[c] =
        weight_scale * (0.75f + 0.5f * static_cast<float>(c % 5) / 5.0f);
  }
  scales_.push_back(scales);
  const float* channel_scales = scales_.back().data();

  const float bias_scale = definitions_[input].scale;
  struct Convolution facts = {input,
                              output,
                              window,
                              groups,
                              group_input_channels,
                              group_output_channels,
                              {},
                              {}};
  for (size_t c = 0; c < channels; c++) {
    const float scale = type_ == Type::kInt8 ? scales[c] : weight_scale;
    const size_t taps = window.kernel * window.kernel * group_input_channels;
    for (size_t t = 0; t < taps; t++) {
      facts.weights.push_back(
          Decode(type_, static_cast<const uint8_t*>(filter_data),
                 depthwise ? t * channels + c : c * taps + t, scale,
                 type_ == Type::kUint8 ? 127 : 0));
    }
    facts.bias.push_back(
        IsQuantized(type_) ? std::rint(bias[c] / (weight_scale * bias_scale)) *
                                 scale * bias_scale
                           : bias[c]);
  }
  convolutions_.push_back(std::move(facts));

  steps_.push_back([=](xnn_subgraph_t subgraph,
                       const std::vector<uint32_t>& ids) {
    uint32_t filter = XNN_INVALID_VALUE_ID;
    uint32_t bias_id = XNN_INVALID_VALUE_ID;
    const std::vector<size_t> bias_shape = {channels};
    if (type_ == Type::kInt8) {
      Check(xnn_define_channelwise_quantized_tensor_value(
                subgraph, xnn_datatype_qcint8, channel_scales, 4,
                depthwise ? 3 : 0, filter_shape.data(), filter_data,
                XNN_INVALID_VALUE_ID, 0, &filter),
            "define a filter");
      Check(
          xnn_define_channelwise_quantized_tensor_value(
              subgraph, xnn_datatype_qcint32, channel_scales, 1, 0,
              bias_shape.data(), bias_data, XNN_INVALID_VALUE_ID, 0, &bias_id),
          "define a bias");
    } else {
      filter =
          DefineStatic(subgraph, DataType(type_), filter_shape, filter_data,
                       weight_scale, type_ == Type::kUint8 ? 127 : 0);
      bias_id = DefineStatic(
          subgraph,
          type_ == Type::kUint8 ? xnn_datatype_qint32 : DataType(type_),
          bias_shape, bias_data, weight_scale * definitions_[input].scale, 0);
    }
    const auto padding =
        static_cast<uint32_t>(window.same ? 0 : window.padding);
    const auto kernel = static_cast<uint32_t>(window.kernel);
    const auto stride = static_cast<uint32_t>(window.stride);
    const auto dilation = static_cast<uint32_t>(window.dilation);
    const uint32_t flags = window.same ? XNN_FLAG_TENSORFLOW_SAME_PADDING : 0;
    const float low = relu ? 0.0f : -kInfinity;
    return depthwise
               ? xnn_define_depthwise_convolution_2d(
                     subgraph, padding, padding, padding, padding, kernel,
                     kernel, stride, stride, dilation, dilation,
                     static_cast<uint32_t>(group_output_channels), groups, low,
                     kInfinity, ids[input], filter, bias_id, ids[output], flags)
               : xnn_define_convolution_2d(
                     subgraph, padding, padding, padding, padding, kernel,
                     kernel, stride, stride, dilation, dilation,
                     static_cast<uint32_t>(groups), group_input_channels,
                     group_output_channels, low, kInfinity, ids[input], filter,
                     bias_id, ids[output], flags);
  });
  return output;
}

size_t Graph::Convolution(size_t input, size_t channels, Window window,
                          size_t groups, bool relu) {
  const Plane plane = planes_[input];
  return ConvolutionLike(input,
                         {WindowOutput(plane.height, window),
                          WindowOutput(plane.width, window), channels},
                         window, groups, plane.channels / groups,
                         channels / groups,
                         /*depthwise=*/false, relu);
}

size_t Graph::Depthwise(size_t input, Window window, size_t multiplier) {
  const Plane plane = planes_[input];
  return ConvolutionLike(
      input,
      {WindowOutput(plane.height, window), WindowOutput(plane.width, window),
       plane.channels * multiplier},
      window, plane.channels, 1, multiplier, /*depthwise=*/true,
      /*relu=*/false);
}

void Graph::SetWeight(size_t value, float weight) {
  std::memcpy(filters_.at(value)->data(), &weight, sizeof(weight));
}

size_t Graph::FullyConnected(size_t input, size_t channels) {
  Plane plane = planes_[input];
  const size_t inputs = plane.channels;
  plane.channels = channels;
  const size_t output =
      NewValue("fully connected", {input}, plane, definitions_[input].scale,
               definitions_[input].rank);
  const float magnitude = std::sqrt(3.0f / static_cast<float>(inputs));
  const void* filter =
      Keep(Encode(RandomValues(channels * inputs, magnitude), 1.0f, 0));
  const void* bias = Keep(Encode(RandomValues(channels, 0.2f), 1.0f, 0));
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        return xnn_define_fully_connected(
            subgraph, -kInfinity, kInfinity, ids[input],
            DefineStatic(subgraph, DataType(type_), {channels, inputs}, filter,
                         1.0f, 0),
            DefineStatic(subgraph, DataType(type_), {channels}, bias, 1.0f, 0),
            ids[output], 0);
      });
  return output;
}

size_t Graph::MaxPool(size_t input, Window window) {
  const Plane plane = planes_[input];
  const size_t output =
      NewValue("max pool " + Text(window), {input},
               {WindowOutput(plane.height, window),
                WindowOutput(plane.width, window), plane.channels},
               definitions_[input].scale);
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        const auto padding =
            static_cast<uint32_t>(window.same ? 0 : window.padding);
        const auto kernel = static_cast<uint32_t>(window.kernel);
        const auto stride = static_cast<uint32_t>(window.stride);
        return xnn_define_max_pooling_2d(
            subgraph, padding, padding, padding, padding, kernel, kernel,
            stride, stride, 1, 1, -kInfinity, kInfinity, ids[input],
            ids[output], window.same ? XNN_FLAG_TENSORFLOW_SAME_PADDING : 0);
      });
  return output;
}

size_t Graph::AveragePool(size_t input, size_t size) {
  const Plane plane = planes_[input];
  const size_t output =
      NewValue("average pool", {input},
               {plane.height / size, plane.width / size, plane.channels},
               definitions_[input].scale);
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        const auto n = static_cast<uint32_t>(size);
        return xnn_define_average_pooling_2d(subgraph, 0, 0, 0, 0, n, n, n, n,
                                             -kInfinity, kInfinity, ids[input],
                                             ids[output], 0);
      });
  return output;
}

size_t Graph::Unary(size_t input, xnn_unary_operator op) {
  const size_t output =
      NewValue("unary operator " + std::to_string(op), {input}, planes_[input],
               definitions_[input].scale);
  steps_.push_back([=](xnn_subgraph_t subgraph,
                       const std::vector<uint32_t>& ids) {
    xnn_unary_params params = {};
    if (op == xnn_unary_leaky_relu) {
      params.leaky_relu.negative_slope = 0.25f;
    } else if (op == xnn_unary_clamp) {
      params.clamp.min = 0.0f;
      params.clamp.max = 1.0f;
    } else if (op == xnn_unary_elu) {
      params.elu.alpha = 1.0f;
    }
    return xnn_define_unary(subgraph, op, &params, ids[input], ids[output], 0);
  });
  return output;
}

size_t Graph::Binary(size_t a, size_t b, xnn_binary_operator op) {
  const size_t output = NewValue(
      "binary operator " + std::to_string(op), {a, b}, planes_[a],
      op == xnn_binary_add ? OutputScale(a, 1.5f) : definitions_[a].scale);
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        return xnn_define_binary(subgraph, op, nullptr, ids[a], ids[b],
                                 ids[output], 0);
      });
  return output;
}

size_t Graph::BinaryWithChannels(size_t input, xnn_binary_operator op) {
  return BinaryWithStatic(input, op,
                          RandomValues(planes_[input].channels, 1.0f));
}

size_t Graph::BinaryWithStatic(size_t input, xnn_binary_operator op,
                               const std::vector<float>& values) {
  const size_t output =
      NewValue("binary operator " + std::to_string(op) + " with channels",
               {input}, planes_[input], definitions_[input].scale);
  const std::vector<size_t> shape = {values.size()};
  const void* data = Keep(Encode(values, kWeightScale, ZeroPoint(type_)));
  steps_.push_back([=](xnn_subgraph_t subgraph,
                       const std::vector<uint32_t>& ids) {
    const uint32_t channels = DefineStatic(
        subgraph, DataType(type_), shape, data, kWeightScale, ZeroPoint(type_));
    return xnn_define_binary(subgraph, op, nullptr, ids[input], channels,
                             ids[output], 0);
  });
  return output;
}

size_t Graph::Concatenate(size_t a, size_t b) {
  Plane plane = planes_[a];
  plane.channels += planes_[b].channels;
  const size_t output =
      NewValue("concatenation", {a, b}, plane, definitions_[a].scale);
  steps_.push_back([=](xnn_subgraph_t subgraph,
                       const std::vector<uint32_t>& ids) {
    return xnn_define_concatenate2(subgraph, 3, ids[a], ids[b], ids[output], 0);
  });
  return output;
}

std::vector<size_t> Graph::Split(size_t input) {
  Plane plane = planes_[input];
  plane.channels /= 2;
  const size_t first =
      NewValue("split", {input}, plane, definitions_[input].scale);
  const size_t second =
      NewValue("split", {input}, plane, definitions_[input].scale);
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        return xnn_define_even_split2(subgraph, 3, ids[input], ids[first],
                                      ids[second], 0);
      });
  return {first, second};
}

size_t Graph::Mean(size_t input) {
  const size_t output =
      NewValue("mean", {input}, {1, 1, planes_[input].channels},
               definitions_[input].scale, /*rank=*/2);
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        const int64_t axes[] = {1, 2};
        return xnn_define_static_reduce_v2(subgraph, xnn_reduce_mean, 2, axes,
                                           ids[input], ids[output], 0);
      });
  return output;
}

size_t Graph::MultiplyByStatic(size_t input, std::vector<size_t> shape,
                               std::vector<float> values) {
  const size_t output =
      NewValue("multiply by static " + ::testing::PrintToString(values),
               {input}, planes_[input], definitions_[input].scale);
  const void* data = Keep(Encode(values, 1.0f, 0));
  steps_.push_back(
      [=](xnn_subgraph_t subgraph, const std::vector<uint32_t>& ids) {
        const uint32_t factor =
            DefineStatic(subgraph, DataType(type_), shape, data, 1.0f, 0);
        return xnn_define_binary(subgraph, xnn_binary_multiply, nullptr,
                                 ids[input], factor, ids[output], 0);
      });
  return output;
}

size_t Graph::Mask(size_t input, const testing::Mask& mask) {
  return MultiplyByStatic(
      input, {1, mask.height, mask.width, 1},
      std::vector<float>(mask.kept.begin(), mask.kept.end()));
}

GraphRun::GraphRun(const Graph& graph, xnn_sparsity_mode mode, size_t threads,
                   size_t batch, xnn_zeros_mode zeros)
    : graph_(graph),
      threads_(threads == 1 ? nullptr : pthreadpool_create(threads),
               pthreadpool_destroy),
      runtime_(nullptr, xnn_delete_runtime) {
  Check(xnn_initialize(nullptr), "initialise XNNPACK");
  xnn_subgraph_t subgraph = nullptr;
  const auto num_values = static_cast<uint32_t>(graph.planes_.size());
  Check(xnn_create_subgraph(num_values, 0, &subgraph), "create a subgraph");
  subgraph_.reset(subgraph, xnn_delete_subgraph);
  Check(xnn_subgraph_set_sparsity_mode(subgraph, mode), "set the mode");
  Check(xnn_subgraph_set_zeros_mode(subgraph, zeros), "set the zeros' mode");
  std::vector<uint32_t> ids(num_values, XNN_INVALID_VALUE_ID);
  for (uint32_t v = 0; v < num_values; v++) {
    const Graph::Definition& definition = graph.definitions_[v];
    const std::vector<size_t> shape =
        Shape(graph.planes_[v], definition.rank, batch);
    const uint32_t flags =
        (definition.is_input ? XNN_VALUE_FLAG_EXTERNAL_INPUT : 0) |
        (definition.is_output ? XNN_VALUE_FLAG_EXTERNAL_OUTPUT : 0);
    const uint32_t external = flags == 0 ? XNN_INVALID_VALUE_ID : v;
    Check(IsQuantized(graph.type_)
              ? xnn_define_quantized_tensor_value(
                    subgraph, DataType(graph.type_), definition.zero_point,
                    definition.scale, shape.size(), shape.data(), nullptr,
                    external, flags, &ids[v])
              : xnn_define_tensor_value(subgraph, DataType(graph.type_),
                                        shape.size(), shape.data(), nullptr,
                                        external, flags, &ids[v]),
          "define a value");
  }
  for (const Graph::Step& step : graph.steps_) {
    Check(step(subgraph, ids), "define a node");
  }
  CreateRuntime();
}

GraphRun::GraphRun(const GraphRun& other, size_t threads)
    : graph_(other.graph_),
      threads_(threads == 1 ? nullptr : pthreadpool_create(threads),
               pthreadpool_destroy),
      subgraph_(other.subgraph_),
      runtime_(nullptr, xnn_delete_runtime) {
  CreateRuntime();
}

void GraphRun::CreateRuntime() {
  xnn_runtime_t runtime = nullptr;
  const uint32_t flags =
      graph_.type_ == Type::kFloat16 ? XNN_FLAG_FORCE_FP16_INFERENCE : 0;
  Check(xnn_create_runtime_v2(subgraph_.get(), threads_.get(), flags, &runtime),
        "create a runtime");
  runtime_.reset(runtime);
}

std::vector<Tensor> GraphRun::operator()(uint32_t input_seed, size_t batch) {
  std::mt19937 random(input_seed);
  std::vector<xnn_external_value> externals;
  std::list<std::vector<uint8_t>> buffers;
  const auto num_values = static_cast<uint32_t>(graph_.planes_.size());
  for (uint32_t v = 0; v < num_values; v++) {
    const Graph::Definition& definition = graph_.definitions_[v];
    if (!definition.is_input && !definition.is_output) {
      continue;
    }
    const std::vector<size_t> shape =
        Shape(graph_.planes_[v], definition.rank, batch);
    std::vector<float> values = RandomOnGrid(Product(shape), 2.0f, random);
    if (input_zeros_ >= 0) {
      MakeZeros(input_zeros_, graph_.planes_[v].channels, random, values);
    }
    std::vector<uint8_t> bytes =
        graph_.Encode(values, definition.scale, definition.zero_point);
    bytes.resize(bytes.size() + XNN_EXTRA_BYTES);
    buffers.push_back(std::move(bytes));
    Check(xnn_reshape_external_value(runtime_.get(), v, shape.size(),
                                     shape.data()),
          "reshape an external value");
    externals.push_back({v, buffers.back().data()});
  }
  Check(xnn_reshape_runtime(runtime_.get()), "reshape the runtime");
  Check(
      xnn_setup_runtime_v2(runtime_.get(), externals.size(), externals.data()),
      "set the runtime up");
  Check(xnn_invoke_runtime(runtime_.get()), "invoke the runtime");

  std::vector<Tensor> outputs;
  inputs_.clear();
  auto buffer = buffers.begin();
  for (uint32_t v = 0; v < num_values; v++) {
    const Graph::Definition& definition = graph_.definitions_[v];
    if (!definition.is_input && !definition.is_output) {
      continue;
    }
    Tensor tensor{Shape(graph_.planes_[v], definition.rank, batch), {}};
    for (size_t i = 0; i < Product(tensor.shape); i++) {
      tensor.values.push_back(Decode(graph_.type_, buffer->data(), i,
                                     definition.scale, definition.zero_point));
    }
    (definition.is_output ? outputs : inputs_).push_back(std::move(tensor));
    ++buffer;
  }
  return outputs;
}

std::vector<xnn_masked_layer> GraphRun::Layers() const {
  const xnn_masked_layer* layers = nullptr;
  const size_t count = xnn_runtime_get_masked_layers(runtime_.get(), &layers);
  return {layers, layers + count};
}

std::vector<xnn_zero_layer> GraphRun::ZeroLayers() const {
  std::vector<xnn_zero_layer> layers(
      xnn_runtime_get_zero_layers(runtime_.get(), nullptr, 0));
  xnn_runtime_get_zero_layers(runtime_.get(), layers.data(), layers.size());
  return layers;
}

size_t GraphRun::ListBytes() const {
  return xnn_runtime_get_list_bytes(runtime_.get());
}

size_t GraphRun::ArenaBytes() const {
  size_t arena = 0;
  size_t sparsity = 0;
  xnn_runtime_get_sparsity_memory(runtime_.get(), &arena, &sparsity);
  return arena;
}

size_t GraphRun::SparsityBytes() const {
  size_t arena = 0;
  size_t sparsity = 0;
  xnn_runtime_get_sparsity_memory(runtime_.get(), &arena, &sparsity);
  return sparsity;
}

void ExpectSameAsWritten(const Graph& graph, uint32_t seed) {
  for (const size_t threads : {1, 3}) {
    GraphRun written(graph, xnn_sparsity_mode_off, threads);
    for (const auto mode :
         {xnn_sparsity_mode_insert, xnn_sparsity_mode_compact}) {
      GraphRun sparse(graph, mode, threads);
      // The second run reuses the runtime with another batch size.
      for (const size_t batch : {1, 2}) {
        SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(seed) + ", mode " +
                     (mode == xnn_sparsity_mode_insert ? "insert" : "compact") +
                     ", threads " + std::to_string(threads) + ", batch " +
                     std::to_string(batch));
        const std::vector<Tensor> expected = written(seed, batch);
        const std::vector<Tensor> actual = sparse(seed, batch);
        ASSERT_EQ(expected.size(), actual.size());
        for (size_t o = 0; o < expected.size(); o++) {
          const std::vector<size_t>& shape = expected[o].shape;
          for (size_t i = 0; i < expected[o].values.size(); i++) {
            ASSERT_EQ(expected[o].values[i], actual[o].values[i])
                << "output " << o << ", element " << i << " of "
                << ::testing::PrintToString(shape) << " of the graph\n"
                << graph.Description();
          }
        }
      }
    }
  }
}

void ExpectSameWithoutZeros(const Graph& graph, double share_of_zeros,
                            uint32_t seed) {
  for (const auto mode : {xnn_sparsity_mode_off, xnn_sparsity_mode_insert,
                          xnn_sparsity_mode_compact}) {
    const size_t counts[] = {1, 2, 4};
    const size_t threads = counts[(seed + mode) % 3];
    GraphRun never(graph, mode, threads, 1, xnn_zeros_mode_never);
    GraphRun always(graph, mode, threads, 1, xnn_zeros_mode_always);
    GraphRun chosen(graph, mode, threads, 1, xnn_zeros_mode_auto);
    for (const size_t batch : {1, 3, 2}) {
      never.SetInputZeros(share_of_zeros);
      const std::vector<Tensor> expected = never(seed, batch);
      for (GraphRun* run : {&always, &chosen}) {
        SCOPED_TRACE(
            "seed " + std::to_string(seed) + ", zeros " +
            std::to_string(share_of_zeros) + ", mode " + std::to_string(mode) +
            ", threads " + std::to_string(threads) + ", batch " +
            std::to_string(batch) + (run == &always ? ", always" : ", auto"));
        run->SetInputZeros(share_of_zeros);
        const std::vector<Tensor> actual = (*run)(seed, batch);
        for (size_t o = 0; o < expected.size(); o++) {
          for (size_t i = 0; i < expected[o].values.size(); i++) {
            const float a = expected[o].values[i];
            const float b = actual[o].values[i];
            ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b)))
                << "output " << o << ", element " << i << " of "
                << ::testing::PrintToString(expected[o].shape) << ": " << b
                << ", expected " << a << ", of the graph\n"
                << graph.Description();
          }
        }
      }
    }
  }
}

}  // namespace tflite_sparse::testing
