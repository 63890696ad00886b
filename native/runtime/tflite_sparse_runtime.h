// What libtensorflowlite_c.so has beyond TFLite's C API.
//
// The library is TensorFlow Lite with the sparse delegate inside: an
// interpreter made by TfLiteInterpreterCreate applies it by itself, with the
// options that the environment gives (below), and threads as in
// TfLiteInterpreterOptionsSetNumThreads. A program that cannot be changed needs
// only the library; one that can has these functions.
//
// Environment:
//
//   TFLITE_SPARSE_MODE, TFLITE_SPARSE_SKIP_ZEROS, TFLITE_SPARSE_INT8,
//   TFLITE_SPARSE_PROFILE, TFLITE_SPARSE_NUM_THREADS
//       options of the default delegate, with the values that tflite_sparse.h
//       lists. With a bad value, TfLiteInterpreterCreate returns NULL and says
//       on standard error which value it is and what is allowed.
//   TFLITE_SPARSE_REPORT
//       name of a file to which each interpreter, when it is deleted, appends
//       the report of its default delegate, one line of JSON; "-" is stderr.

#ifndef TFLITE_SPARSE_NATIVE_RUNTIME_TFLITE_SPARSE_RUNTIME_H_
#define TFLITE_SPARSE_NATIVE_RUNTIME_TFLITE_SPARSE_RUNTIME_H_

#include "tensorflow/lite/c/c_api.h"
#include "tflite_sparse.h"

#ifdef __cplusplus
extern "C" {
#endif

// A delegate for TfLiteInterpreterOptionsAddDelegate, with other options than
// the default one: `options` is a list such as "mode=insert,num_threads=2", of
// the options in tflite_sparse.h; NULL or "" means all defaults. On an error
// the result is NULL, and report_error, unless it is NULL, is called with one
// sentence. Destroy it with tflite_plugin_destroy_delegate, after the
// interpreter.
//
// Call tflite_sparse_no_default_delegate too, or the default delegate takes the
// nodes that this one leaves.
TfLiteDelegate* tflite_sparse_create_delegate(
    const char* options, void (*report_error)(const char* message));

// Interpreters made with these options have no default delegate: all nodes that
// no delegate of the options takes run in TFLite's own kernels.
void tflite_sparse_no_default_delegate(TfLiteInterpreterOptions* options);

// The report of the interpreter's default delegate, as in tflite_sparse.h;
// release it with tflite_sparse_free. NULL before tensors are allocated, and if
// there is none.
char* tflite_sparse_interpreter_report(const TfLiteInterpreter* interpreter);

// What TFLite's C API does not tell of a model, as a JSON object in UTF-8;
// release it with tflite_sparse_free:
//
//   subgraphs   how many there are
//   tensors     [{name, type, shape, shape_signature, scales, zero_points,
//               quantized_dimension}] of the subgraph: type as TfLiteType;
//               shape_signature has -1 for a dimension that the model leaves
//               open
//   nodes       [{op, inputs, outputs}] of the subgraph: the name of the
//               operation and indices of tensors; nodes that a delegate took,
//               and the delegate's own, are among them
//   signatures  [{key, subgraph, inputs, outputs}]: objects from names to
//               indices of tensors
//
// NULL if there is no such subgraph.
char* tflite_sparse_interpreter_details(const TfLiteInterpreter* interpreter,
                                        int32_t subgraph);

// A tensor of any subgraph; NULL if there is none of that index.
TfLiteTensor* tflite_sparse_interpreter_tensor(
    const TfLiteInterpreter* interpreter, int32_t subgraph, int32_t index);

// Gives the input `index` (of all tensors) of the primary subgraph another
// shape, of `size` dimensions; `strict` allows other values only where
// shape_signature has -1. Allocate tensors afterwards.
TfLiteStatus tflite_sparse_interpreter_resize(TfLiteInterpreter* interpreter,
                                              int32_t index, const int* shape,
                                              int32_t size, bool strict);

// An error reporter that keeps what TFLite says for
// tflite_sparse_take_errors, to be given to TfLiteModelCreateWithErrorReporter
// and TfLiteInterpreterOptionsSetErrorReporter by programs whose language has
// no va_list; user_data is not used.
void tflite_sparse_keep_error(void* user_data, const char* format,
                              va_list args);

// The lines that were kept on this thread since the last call; release them
// with tflite_sparse_free. NULL if there are none.
char* tflite_sparse_take_errors(void);

// Replaces the content of a tensor of strings, whose size is not fixed: `size`
// bytes as TFLite stores strings.
TfLiteStatus tflite_sparse_tensor_set_bytes(TfLiteTensor* tensor,
                                            const void* bytes, size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_RUNTIME_TFLITE_SPARSE_RUNTIME_H_
