// Whether nodes can run one after the other.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_NODE_ORDER_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_NODE_ORDER_H_

#include <functional>
#include <string>

#include "tensorflow/lite/core/c/common.h"

namespace tflite_sparse {

// The sentence that says which of the nodes `plan[0]`, `plan[1]` ...
// `plan[size - 1]` writes a constant or what another node writes too, or reads
// what is written only later; empty if none does. Interpreters take such
// graphs, and then kernels read what they write, and XNNPACK's passes
// crash.
std::string NodeOrderError(
    const TfLiteContext& context, const int* plan, size_t size,
    const std::function<const TfLiteNode*(int index)>& node);

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_NODE_ORDER_H_
