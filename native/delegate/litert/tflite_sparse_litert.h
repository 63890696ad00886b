// The delegate under LiteRT's CompiledModel, which has no load_delegate().
//
// LiteRT runs a model on accelerators, which belong to an environment. One that
// creates the delegate of tflite_sparse.h is made known to an environment by
// tflite_sparse_litert_register(); environments of others stay as they are.
//
//   LiteRtEnvOption option = {kLiteRtEnvOptionTagAutoRegisterAccelerators, 0};
//   LiteRtCreateEnvironment(1, &option, &environment);
//   tflite_sparse_litert_register(environment, NULL, print);
//   tflite_sparse_litert_options(keys, values, 2, print);
//   LiteRtCreateCompiledModel(environment, model, options, &compiled_model);
//   if (!tflite_sparse_litert_delegate()) print(tflite_sparse_litert_error());
//
// It works with libLiteRt.so of ai-edge-litert 2.2 and 2.3. examples/litert_c
// is a whole program.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_LITERT_TFLITE_SPARSE_LITERT_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_LITERT_TFLITE_SPARSE_LITERT_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct LiteRtEnvironmentT;
struct TfLiteDelegate;

// Makes the accelerator known to an environment, for the models that are
// compiled in it from then on. Returns 0; or another number after report_error,
// unless it is NULL, was called with one sentence that says why not.
//
// The environment must not have an accelerator for the CPU yet: accelerators
// run in the order in which they were registered, so LiteRT's own would take
// the whole model. Create it with AutoRegisterAccelerators (option 24) at 0, or
// at the bits of GPU (2) and NPU (4) to have those. The nodes that the delegate
// leaves run on LiteRT's built-in kernels.
//
// litert is what dlopen() returned for libLiteRt.so; NULL if the program is
// linked against it.
int tflite_sparse_litert_register(struct LiteRtEnvironmentT* environment,
                                  void* litert,
                                  void (*report_error)(const char*));

// Sets the options, those of tflite_plugin_create_delegate(), of the models
// that this thread compiles from now on, and forgets what
// tflite_sparse_litert_delegate() and _error() return. n = 0 brings the
// defaults back. Returns 0; or another number, and the defaults are set, after
// report_error was called as above. LiteRT's own options for the CPU, such as
// its number of threads, do not reach the delegate.
int tflite_sparse_litert_options(char** keys, char** values, size_t n,
                                 void (*report_error)(const char*));

// The delegate of the model that this thread compiled last, for
// tflite_sparse_report(). It belongs to the compiled model, and is destroyed
// with it. NULL if LiteRT did not ask for one, or could not be given one.
struct TfLiteDelegate* tflite_sparse_litert_delegate(void);

// Why LiteRT was not given a delegate, in one sentence; "" if it was, or if it
// did not ask. Valid until this thread compiles or sets options again.
const char* tflite_sparse_litert_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_LITERT_TFLITE_SPARSE_LITERT_H_
