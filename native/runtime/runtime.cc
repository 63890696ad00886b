// The functions of tflite_sparse_runtime.h.

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "native/delegate/json.h"
#include "native/runtime/checked_operations.h"
#include "native/runtime/default_delegate.h"
#include "native/runtime/tflite_sparse_runtime.h"
#include "tensorflow/lite/c/c_api_experimental.h"
#include "tensorflow/lite/c/c_api_internal.h"
#include "tensorflow/lite/core/kernels/register.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using tflite_sparse::JsonArray;
using tflite_sparse::JsonObject;
using tflite_sparse::JsonString;

template <typename Values>
std::string Numbers(const Values& values, size_t count) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; i++) {
    std::ostringstream text;
    // Enough digits to read the same float again.
    text.precision(9);
    text << values[i];
    texts.push_back(text.str());
  }
  return JsonArray(texts);
}

std::string Numbers(const TfLiteIntArray* values) {
  return values == nullptr ? "[]" : Numbers(values->data, values->size);
}

std::string TensorObject(const TfLiteTensor& tensor) {
  const bool open =
      tensor.dims_signature != nullptr && tensor.dims_signature->size > 0;
  const TfLiteAffineQuantization* quantization =
      tensor.quantization.type == kTfLiteAffineQuantization
          ? static_cast<const TfLiteAffineQuantization*>(
                tensor.quantization.params)
          : nullptr;
  return JsonObject(
      {{"name", JsonString(tensor.name == nullptr ? "" : tensor.name)},
       {"type", std::to_string(tensor.type)},
       {"shape", Numbers(tensor.dims)},
       {"shape_signature", Numbers(open ? tensor.dims_signature : tensor.dims)},
       {"scales",
        quantization == nullptr || quantization->scale == nullptr
            ? "[]"
            : Numbers(quantization->scale->data, quantization->scale->size)},
       {"zero_points",
        quantization == nullptr ? "[]" : Numbers(quantization->zero_point)},
       {"quantized_dimension",
        std::to_string(
            quantization == nullptr ? 0 : quantization->quantized_dimension)}});
}

std::string NodeObject(const TfLiteNode& node,
                       const TfLiteRegistration& registration) {
  const char* const name = registration.custom_name != nullptr
                               ? registration.custom_name
                               : tflite::EnumNameBuiltinOperator(
                                     static_cast<tflite::BuiltinOperator>(
                                         registration.builtin_code));
  return JsonObject({{"op", JsonString(name)},
                     {"inputs", Numbers(node.inputs)},
                     {"outputs", Numbers(node.outputs)}});
}

template <typename Map>
std::string IndexObject(const Map& indices) {
  // JSON has strings for keys: these are written as such.
  std::string text = "{";
  for (const auto& [name, index] : indices) {
    text += (text.size() == 1 ? "" : ", ") + JsonString(name) + ": " +
            std::to_string(index);
  }
  return text + "}";
}

thread_local std::string kept_errors;

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    parts.push_back(part);
  }
  return parts;
}

}  // namespace

extern "C" {

TfLiteDelegate* tflite_sparse_create_delegate(
    const char* options, void (*report_error)(const char* message)) {
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (const std::string& option : Split(options ? options : "", ',')) {
    const size_t equals = option.find('=');
    if (equals == std::string::npos) {
      if (report_error != nullptr) {
        report_error(("tflite-sparse: option '" + option +
                      "' has no value; expected a list such as "
                      "'mode=insert,num_threads=2'.")
                         .c_str());
      }
      return nullptr;
    }
    keys.push_back(option.substr(0, equals));
    values.push_back(option.substr(equals + 1));
  }
  std::vector<char*> key_texts;
  std::vector<char*> value_texts;
  for (size_t i = 0; i < keys.size(); i++) {
    key_texts.push_back(keys[i].data());
    value_texts.push_back(values[i].data());
  }
  return tflite_plugin_create_delegate(key_texts.data(), value_texts.data(),
                                       keys.size(), report_error);
}

void tflite_sparse_no_default_delegate(TfLiteInterpreterOptions* options) {
  using Resolver = tflite_sparse::CheckedResolver<
      tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates>;
  static const Resolver* const resolver = new Resolver;
  TfLiteInterpreterOptionsSetOpResolver(
      options,
      [](void*, TfLiteBuiltinOperator op, int version) {
        return resolver->FindOp(static_cast<tflite::BuiltinOperator>(op),
                                version);
      },
      [](void*, const char* name, int version) {
        return resolver->FindOp(name, version);
      },
      nullptr);
}

char* tflite_sparse_interpreter_report(const TfLiteInterpreter* interpreter) {
  return tflite_sparse::DefaultDelegateReport(
      interpreter->impl->primary_subgraph().context());
}

char* tflite_sparse_interpreter_details(const TfLiteInterpreter* interpreter,
                                        int32_t subgraph) {
  tflite::Interpreter& impl = *interpreter->impl;
  if (subgraph < 0 || subgraph >= static_cast<int32_t>(impl.subgraphs_size())) {
    return nullptr;
  }
  tflite::Subgraph& graph = *impl.subgraph(subgraph);
  std::vector<std::string> tensors;
  for (size_t i = 0; i < graph.tensors_size(); i++) {
    tensors.push_back(TensorObject(*graph.tensor(i)));
  }
  std::vector<std::string> nodes;
  for (const auto& [node, registration] : graph.nodes_and_registration()) {
    nodes.push_back(NodeObject(node, registration));
  }
  std::vector<std::string> signatures;
  for (const std::string* key : impl.signature_keys()) {
    signatures.push_back(JsonObject(
        {{"key", JsonString(*key)},
         {"subgraph",
          std::to_string(impl.GetSubgraphIndexFromSignature(key->c_str()))},
         {"inputs", IndexObject(impl.signature_inputs(key->c_str()))},
         {"outputs", IndexObject(impl.signature_outputs(key->c_str()))}}));
  }
  return strdup(
      JsonObject({{"subgraphs", std::to_string(impl.subgraphs_size())},
                  {"tensors", JsonArray(tensors)},
                  {"nodes", JsonArray(nodes)},
                  {"signatures", JsonArray(signatures)}})
          .c_str());
}

TfLiteTensor* tflite_sparse_interpreter_tensor(
    const TfLiteInterpreter* interpreter, int32_t subgraph, int32_t index) {
  tflite::Interpreter& impl = *interpreter->impl;
  if (subgraph < 0 || subgraph >= static_cast<int32_t>(impl.subgraphs_size()) ||
      index < 0 ||
      index >= static_cast<int32_t>(impl.subgraph(subgraph)->tensors_size())) {
    return nullptr;
  }
  return impl.subgraph(subgraph)->tensor(index);
}

TfLiteStatus tflite_sparse_interpreter_resize(TfLiteInterpreter* interpreter,
                                              int32_t index, const int* shape,
                                              int32_t size, bool strict) {
  const std::vector<int> dims(shape, shape + size);
  return strict ? interpreter->impl->ResizeInputTensorStrict(index, dims)
                : interpreter->impl->ResizeInputTensor(index, dims);
}

void tflite_sparse_keep_error(void*, const char* format, va_list args) {
  va_list again;
  va_copy(again, args);
  const int length = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length < 0) {
    return;
  }
  std::string line(length + 1, '\0');
  vsnprintf(line.data(), line.size(), format, args);
  line.back() = '\n';
  kept_errors += line;
}

char* tflite_sparse_take_errors(void) {
  if (kept_errors.empty()) {
    return nullptr;
  }
  char* const errors = strdup(kept_errors.c_str());
  kept_errors.clear();
  return errors;
}

TfLiteStatus tflite_sparse_tensor_set_bytes(TfLiteTensor* tensor,
                                            const void* bytes, size_t size) {
  if (tensor->type != kTfLiteString) {
    return kTfLiteError;
  }
  TfLiteTensorRealloc(size, tensor);
  if (tensor->data.raw == nullptr || tensor->bytes != size) {
    return kTfLiteError;
  }
  memcpy(tensor->data.raw, bytes, size);
  return kTfLiteOk;
}

}  // extern "C"
