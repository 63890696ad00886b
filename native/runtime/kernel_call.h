// The calls of kernels: nothing that one throws reaches the interpreter's
// caller, which may be a program in C.

#ifndef TFLITE_SPARSE_NATIVE_RUNTIME_KERNEL_CALL_H_
#define TFLITE_SPARSE_NATIVE_RUNTIME_KERNEL_CALL_H_

#include <exception>
#include <new>
#include <stdexcept>

#include "tensorflow/lite/core/c/common.h"

namespace tflite_sparse {

// What `call` returns; an error, and a line about it, when it throws. Kernels
// of TFLite throw where they found what they do not compute
// (patches/tensorflow/0016-aborts-are-exceptions.patch) and when memory runs
// out. The interpreter says which node it was.
template <typename Call>
TfLiteStatus CallKernel(TfLiteContext* context, Call call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    context->ReportError(context,
                         "There is not enough memory; make the input smaller.");
  } catch (const std::length_error&) {
    context->ReportError(context,
                         "The node's sizes are larger than any memory; convert "
                         "the model again.");
  } catch (const std::exception& error) {
    context->ReportError(context,
                         "The node is not as its kernel needs it (%s); convert "
                         "the model again.",
                         error.what());
  }
  return kTfLiteError;
}

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_RUNTIME_KERNEL_CALL_H_
