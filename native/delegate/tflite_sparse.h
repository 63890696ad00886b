// The C interface of libtflite_sparse_delegate.so.
//
// The first two functions are TFLite's convention for external delegates: any
// TFLite or LiteRT runtime loads the library through its load_delegate(). The
// others tell what the delegate did with the model.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_TFLITE_SPARSE_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_TFLITE_SPARSE_H_

#include <stddef.h>

#define TFLITE_SPARSE_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

struct TfLiteDelegate;

// Creates a delegate from n options. All keys and values are strings:
//
//   num_threads  threads to compute with; 0 = all cores. Default 1.
//   mode         what to do with activation masks: compact (masked tensors
//                keep only their kept rows), insert (convolutions skip masked
//                pixels and write zeros), off (multiply as written).
//                Default compact.
//   skip_zeros   whether convolutions and fully connected operators multiply
//                only nonzero activations, found in each run: auto (where it
//                is faster), always (where it is possible), never. Results are
//                equal. Default auto.
//   int8         1: take int8 and uint8 operators too; 0: do not. Default 1.
//   profile      1: measure each operator of each run; 0: do not. Default 0.
//
// An unknown or repeated option or a bad value makes no delegate: the result is
// NULL, and report_error, unless it is NULL, is called once with one sentence
// that names the option, what was found, and what is allowed.
struct TfLiteDelegate* tflite_plugin_create_delegate(
    char** options_keys, char** options_values, size_t num_options,
    void (*report_error)(const char*));

// Destroys a delegate, after the interpreters that use it. NULL, or a delegate
// of another library, is left alone.
void tflite_plugin_destroy_delegate(struct TfLiteDelegate* delegate);

// The version of the library, such as "0.1.0".
const char* tflite_sparse_version(void);

// What the delegate did, as a JSON object in UTF-8:
//
//   version, mode, num_threads   of this delegate; num_threads as counted out
//   nodes_total, nodes_taken     operators of the model, and those taken
//   left    [{node, op, name, reason}] the others: index in the model, kind,
//           name of the first output tensor, why it was not taken
//   layers  [{layer, op, form, kept, total, macs_dense, macs_kept, reason}] one
//           for each mask: name of the tensor that the multiply by the mask
//           writes; form compact, insert or dense, with the reason if dense
//   skip_zeros   of this delegate
//   zero_layers  [{layer, op, form, zeros, reason}] one for each convolution
//           and fully connected operator: name of the tensor that it writes;
//           form, in the last run, zeros (only nonzero activations are
//           multiplied), tiles (all, but for windows' masked pixels) or dense,
//           with the reason if it is not zeros; zeros, the mean share of zeros
//           in its input as far as it was looked at, null if it never was
//   arena_bytes, sparsity_bytes, list_bytes  memory for activations, for the
//           masks, and for skipping zeros: lists and sums, a part of the
//           first, and tables
//   profile [{op, layer, microseconds}] with profile=1, one for each of
//           XNNPACK's operators in order: name, tensor that it writes, mean
//           time of a run
//
// It covers every model that the delegate was applied to and holds zeros and
// empty lists before that. The caller releases it with tflite_sparse_free().
// NULL if the delegate is NULL or not of this library.
char* tflite_sparse_report(struct TfLiteDelegate* delegate);

// Releases a report; NULL is allowed.
void tflite_sparse_free(char* report);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_TFLITE_SPARSE_H_
