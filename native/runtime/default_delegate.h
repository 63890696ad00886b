// The delegate that interpreters of this runtime apply by themselves.

#ifndef TFLITE_SPARSE_NATIVE_RUNTIME_DEFAULT_DELEGATE_H_
#define TFLITE_SPARSE_NATIVE_RUNTIME_DEFAULT_DELEGATE_H_

#include <string>

#include "tensorflow/lite/core/c/common.h"

namespace tflite_sparse {

// The report of the default delegate of the interpreter whose primary subgraph
// has this context, for the caller to free; null if it has none.
char* DefaultDelegateReport(const TfLiteContext* context);

// What is wrong with the options in the environment; empty if nothing is.
std::string EnvironmentError();

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_RUNTIME_DEFAULT_DELEGATE_H_
