#include "native/runtime/checked_operations.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "tensorflow/lite/core/c/builtin_op_data.h"

namespace tflite_sparse {
namespace {

using tflite::BuiltinOperator;

constexpr int kOperations = tflite::BuiltinOperator_MAX + 1;

using Prepare = TfLiteStatus (*)(TfLiteContext*, TfLiteNode*);

// Of TFLite's kernels, by operation; all versions of one have the same.
std::array<Prepare, kOperations> own_prepare;

// Operations whose kernels look for themselves which tensors are there.
bool LooksForItself(BuiltinOperator op) {
  switch (op) {
    case tflite::BuiltinOperator_BIDIRECTIONAL_SEQUENCE_LSTM:
    case tflite::BuiltinOperator_BIDIRECTIONAL_SEQUENCE_RNN:
    case tflite::BuiltinOperator_IF:
    case tflite::BuiltinOperator_LSTM:
    case tflite::BuiltinOperator_UNIDIRECTIONAL_SEQUENCE_LSTM:
    case tflite::BuiltinOperator_WHILE:
      return true;
    default:
      return false;
  }
}

// The input that any other operation may lack; -1 if it needs all.
int OptionalInput(BuiltinOperator op) {
  switch (op) {
    case tflite::BuiltinOperator_CONV_2D:
    case tflite::BuiltinOperator_CONV_3D:
    case tflite::BuiltinOperator_DEPTHWISE_CONV_2D:
    case tflite::BuiltinOperator_FULLY_CONNECTED:
    case tflite::BuiltinOperator_PADV2:
      return 2;
    case tflite::BuiltinOperator_CONV_3D_TRANSPOSE:
    case tflite::BuiltinOperator_SVDF:
    case tflite::BuiltinOperator_TRANSPOSE_CONV:
      return 3;
    default:
      return -1;
  }
}

TfLiteStatus CheckPresence(BuiltinOperator op, const char* name,
                           TfLiteContext* context, const TfLiteNode* node) {
  if (LooksForItself(op)) {
    return kTfLiteOk;
  }
  for (const TfLiteIntArray* list : {node->inputs, node->outputs}) {
    for (int i = 0; i < list->size; i++) {
      if (list->data[i] < 0 &&
          !(list == node->inputs && i == OptionalInput(op))) {
        context->ReportError(
            context, "%s: %s %d is missing; convert the model again.", name,
            list == node->inputs ? "input" : "output", i);
        return kTfLiteError;
      }
    }
  }
  return kTfLiteOk;
}

// To allocate more than the machine has would end the process.
TfLiteStatus CheckSizes(const char* name, TfLiteContext* context,
                        const TfLiteNode* node) {
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<double>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < node->inputs->size; i++) {
    const int input = node->inputs->data[i];
    if (input < 0 ||
        static_cast<double>(context->tensors[input].bytes) <= memory) {
      continue;
    }
    context->ReportError(context,
                         "%s: input %d needs %zu bytes, and this machine has "
                         "%.0f; make the input smaller.",
                         name, i, context->tensors[input].bytes, memory);
    return kTfLiteError;
  }
  return kTfLiteOk;
}

// What a window is made of.
struct Window {
  TfLitePadding padding;
  // Strides, dilations and sizes.
  std::array<int, 6> lengths;
};

// That of an operation whose options say it.
std::optional<Window> WindowOf(BuiltinOperator op, const TfLiteNode* node) {
  const void* const options = node->builtin_data;
  if (options == nullptr) {
    return std::nullopt;
  }
  switch (op) {
    case tflite::BuiltinOperator_CONV_2D: {
      const auto& conv = *static_cast<const TfLiteConvParams*>(options);
      return Window{
          conv.padding,
          {conv.stride_height, conv.stride_width, conv.dilation_height_factor,
           conv.dilation_width_factor, 1, 1}};
    }
    case tflite::BuiltinOperator_CONV_3D:
    case tflite::BuiltinOperator_CONV_3D_TRANSPOSE: {
      const auto& conv = *static_cast<const TfLiteConv3DParams*>(options);
      return Window{conv.padding,
                    {conv.stride_depth, conv.stride_height, conv.stride_width,
                     conv.dilation_depth_factor, conv.dilation_height_factor,
                     conv.dilation_width_factor}};
    }
    case tflite::BuiltinOperator_DEPTHWISE_CONV_2D: {
      const auto& conv =
          *static_cast<const TfLiteDepthwiseConvParams*>(options);
      return Window{
          conv.padding,
          {conv.stride_height, conv.stride_width, conv.dilation_height_factor,
           conv.dilation_width_factor, 1, 1}};
    }
    case tflite::BuiltinOperator_AVERAGE_POOL_2D:
    case tflite::BuiltinOperator_L2_POOL_2D:
    case tflite::BuiltinOperator_MAX_POOL_2D: {
      const auto& pool = *static_cast<const TfLitePoolParams*>(options);
      return Window{pool.padding,
                    {pool.stride_height, pool.stride_width, pool.filter_height,
                     pool.filter_width, 1, 1}};
    }
    case tflite::BuiltinOperator_TRANSPOSE_CONV: {
      const auto& conv =
          *static_cast<const TfLiteTransposeConvParams*>(options);
      return Window{conv.padding,
                    {conv.stride_height, conv.stride_width, 1, 1, 1, 1}};
    }
    default:
      return std::nullopt;
  }
}

// Operations whose kernels take the output to be of the first input's type.
bool KeepsType(BuiltinOperator op) {
  switch (op) {
    case tflite::BuiltinOperator_ADD:
    case tflite::BuiltinOperator_DIV:
    case tflite::BuiltinOperator_EXPAND_DIMS:
    case tflite::BuiltinOperator_MAXIMUM:
    case tflite::BuiltinOperator_MINIMUM:
    case tflite::BuiltinOperator_MUL:
    case tflite::BuiltinOperator_RESHAPE:
    case tflite::BuiltinOperator_SQUEEZE:
    case tflite::BuiltinOperator_SUB:
      return true;
    default:
      return false;
  }
}

// Of operations whose strings are not those of an input.
bool BringsStrings(BuiltinOperator op) {
  switch (op) {
    case tflite::BuiltinOperator_HASHTABLE_FIND:
    case tflite::BuiltinOperator_IF:
    case tflite::BuiltinOperator_READ_VARIABLE:
    case tflite::BuiltinOperator_WHILE:
      return true;
    default:
      return false;
  }
}

bool HasStrings(const TfLiteContext* context, const TfLiteIntArray* tensors) {
  return std::any_of(tensors->data, tensors->data + tensors->size, [&](int i) {
    return i >= 0 && context->tensors[i].type == kTfLiteString;
  });
}

bool IsQuantized(const TfLiteTensor& tensor) {
  return tensor.type == kTfLiteInt8 || tensor.type == kTfLiteUInt8;
}

// Operations that compute with the scales of all of their 8-bit tensors.
bool ComputesWithScales(BuiltinOperator op) {
  switch (op) {
    case tflite::BuiltinOperator_ADD:
    case tflite::BuiltinOperator_AVERAGE_POOL_2D:
    case tflite::BuiltinOperator_BATCH_MATMUL:
    case tflite::BuiltinOperator_CONV_2D:
    case tflite::BuiltinOperator_DEPTHWISE_CONV_2D:
    case tflite::BuiltinOperator_FULLY_CONNECTED:
    case tflite::BuiltinOperator_HARD_SWISH:
    case tflite::BuiltinOperator_LEAKY_RELU:
    case tflite::BuiltinOperator_LOGISTIC:
    case tflite::BuiltinOperator_MUL:
    case tflite::BuiltinOperator_PRELU:
    case tflite::BuiltinOperator_SOFTMAX:
    case tflite::BuiltinOperator_SUB:
    case tflite::BuiltinOperator_TANH:
    case tflite::BuiltinOperator_TRANSPOSE_CONV:
      return true;
    default:
      return false;
  }
}

// The smallest and the largest scale of a quantised tensor, of all channels.
std::pair<float, float> Scales(const TfLiteTensor& tensor) {
  const auto* const affine =
      tensor.quantization.type == kTfLiteAffineQuantization
          ? static_cast<const TfLiteAffineQuantization*>(
                tensor.quantization.params)
          : nullptr;
  if (affine == nullptr || affine->scale == nullptr ||
      affine->scale->size == 0) {
    return {tensor.params.scale, tensor.params.scale};
  }
  const float* const scales = affine->scale->data;
  float low = scales[0], high = scales[0];
  for (int i = 0; i < affine->scale->size; i++) {
    // What is no number stays: no comparison with it is true.
    low = scales[i] >= low ? low : scales[i];
    high = scales[i] <= high ? high : scales[i];
  }
  return {low, high};
}

TfLiteStatus CheckScales(const char* name, TfLiteContext* context,
                         const TfLiteNode* node, bool adds) {
  float largest_input = 0;
  for (const TfLiteIntArray* list : {node->inputs, node->outputs}) {
    for (int i = 0; i < list->size; i++) {
      if (list->data[i] < 0 || !IsQuantized(context->tensors[list->data[i]])) {
        continue;
      }
      const auto [low, high] = Scales(context->tensors[list->data[i]]);
      if (!(low > 0 && std::isfinite(high))) {
        context->ReportError(context,
                             "%s: tensor %d has the scale %g, expected a "
                             "positive number; convert the model again.",
                             name, list->data[i], low > 0 ? high : low);
        return kTfLiteError;
      }
      if (list == node->inputs) {
        largest_input = std::max(largest_input, high);
        // Sums are of inputs at 2^-19 of the larger scale.
      } else if (adds && !(largest_input / low < (1 << 19))) {
        context->ReportError(context,
                             "%s: the output's scale %g is too small for an "
                             "input's, %g; convert the model again.",
                             name, low, largest_input);
        return kTfLiteError;
      }
    }
  }
  return kTfLiteOk;
}

bool HasOffsetsAndMasks(const TfLiteNode* node) {
  const auto* params =
      static_cast<const TfLiteStridedSliceParams*>(node->builtin_data);
  return params != nullptr && params->offset &&
         (params->begin_mask != 0 || params->end_mask != 0);
}

TfLiteStatus CheckNode(BuiltinOperator op, TfLiteContext* context,
                       const TfLiteNode* node) {
  const char* const name = tflite::EnumNameBuiltinOperator(op);
  TF_LITE_ENSURE_STATUS(CheckPresence(op, name, context, node));
  TF_LITE_ENSURE_STATUS(CheckSizes(name, context, node));
  if (const std::optional<Window> window = WindowOf(op, node)) {
    if (window->padding != kTfLitePaddingSame &&
        window->padding != kTfLitePaddingValid) {
      context->ReportError(context,
                           "%s: the padding is neither SAME nor VALID; convert "
                           "the model again.",
                           name);
      return kTfLiteError;
    }
    for (const int length : window->lengths) {
      if (length < 1) {
        context->ReportError(context,
                             "%s: a stride, dilation or size is %d, expected "
                             "at least 1; convert the model again.",
                             name, length);
        return kTfLiteError;
      }
    }
  }
  const TfLiteTensor* const first =
      node->inputs->size > 0 && node->inputs->data[0] >= 0
          ? &context->tensors[node->inputs->data[0]]
          : nullptr;
  if (op == tflite::BuiltinOperator_DEPTHWISE_CONV_2D && first != nullptr &&
      IsQuantized(*first) && node->inputs->size < 3) {
    context->ReportError(context,
                         "%s in 8 bits has no bias, which TensorFlow Lite's "
                         "kernel needs; convert the model with one.",
                         name);
    return kTfLiteError;
  }
  if (KeepsType(op) && first != nullptr && node->outputs->size > 0 &&
      context->tensors[node->outputs->data[0]].type != first->type) {
    context->ReportError(context,
                         "%s: the output is of another type than the input; "
                         "convert the model again.",
                         name);
    return kTfLiteError;
  }
  if (op == tflite::BuiltinOperator_STRIDED_SLICE && HasOffsetsAndMasks(node)) {
    context->ReportError(context,
                         "%s: the ends are offsets and the begin or end mask "
                         "is not 0, for which TensorFlow Lite's kernel reads "
                         "more than its output holds; convert the model again.",
                         name);
    return kTfLiteError;
  }
  if (!BringsStrings(op) && HasStrings(context, node->outputs) &&
      !HasStrings(context, node->inputs)) {
    context->ReportError(context,
                         "%s: an output is of strings and no input is; convert "
                         "the model again.",
                         name);
    return kTfLiteError;
  }
  if (ComputesWithScales(op)) {
    const bool adds =
        op == tflite::BuiltinOperator_ADD || op == tflite::BuiltinOperator_SUB;
    return CheckScales(name, context, node, adds);
  }
  return kTfLiteOk;
}

// A registration has no place for a second function, so each operation has a
// first one of its own.
template <int op>
TfLiteStatus CheckAndPrepare(TfLiteContext* context, TfLiteNode* node) {
  TF_LITE_ENSURE_STATUS(
      CheckNode(static_cast<BuiltinOperator>(op), context, node));
  return own_prepare[op](context, node);
}

template <int... ops>
constexpr std::array<Prepare, kOperations> All(
    std::integer_sequence<int, ops...>) {
  return {CheckAndPrepare<ops>...};
}

constexpr std::array<Prepare, kOperations> kCheckAndPrepare =
    All(std::make_integer_sequence<int, kOperations>());

}  // namespace

const TfLiteRegistration* Checked(const TfLiteRegistration* registration) {
  if (registration == nullptr || registration->prepare == nullptr) {
    return registration;
  }
  // Never destroyed: interpreters may outlive static objects at exit.
  static std::mutex* const mutex = new std::mutex;
  static auto* const checked =
      new std::map<std::pair<int, int>, TfLiteRegistration>;
  const int op = registration->builtin_code;
  const std::lock_guard<std::mutex> lock(*mutex);
  const auto [found, is_new] =
      checked->try_emplace({op, registration->version}, *registration);
  if (is_new) {
    own_prepare[op] = registration->prepare;
    found->second.prepare = kCheckAndPrepare[op];
  }
  return &found->second;
}

}  // namespace tflite_sparse
