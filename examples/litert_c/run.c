/* Runs a .tflite model on LiteRT with the sparse delegate.
 *
 *   ./run MODEL INPUTS OUTPUTS [OPTION=VALUE ...]
 *
 * INPUTS and OUTPUTS are files with the tensors' values as they are in memory,
 * one tensor after the other. The options are those of tflite_sparse.h, such as
 * num_threads=2. Prints the delegate's report.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "litert.h"
#include "tflite_sparse.h"
#include "tflite_sparse_litert.h"

enum { kMostTensors = 16, kMostOptions = 8 };

static void Check(LiteRtStatus status, const char* what) {
  if (status != 0) {
    fprintf(stderr, "%s failed with status %d\n", what, status);
    exit(1);
  }
}

#define CHECK(call) Check(call, #call)

static void Print(const char* text) { fprintf(stderr, "%s\n", text); }

static void Usage(void) {
  Print("usage: run MODEL INPUTS OUTPUTS [OPTION=VALUE ...]");
  exit(2);
}

/* From OPTION=VALUE to what the library takes. */
static void SetOptions(int n, char** arguments) {
  char* keys[kMostOptions];
  char* values[kMostOptions];
  if (n > kMostOptions) {
    Usage();
  }
  for (int i = 0; i < n; i++) {
    char* equals = strchr(arguments[i], '=');
    if (equals == NULL) {
      Usage();
    }
    *equals = '\0';
    keys[i] = arguments[i];
    values[i] = equals + 1;
  }
  if (tflite_sparse_litert_options(keys, values, n, Print) != 0) {
    exit(1);
  }
}

static FILE* Open(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  return file;
}

static LiteRtTensorBuffer CreateBuffer(LiteRtEnvironment environment,
                                       LiteRtTensor tensor,
                                       LiteRtTensorBufferRequirements needs) {
  LiteRtRankedTensorType type;
  LiteRtTensorBuffer buffer;
  CHECK(LiteRtGetRankedTensorType(tensor, &type));
  CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type,
                                                        needs, &buffer));
  return buffer;
}

/* Fills a buffer from a file, or writes it to one. */
static void Copy(LiteRtTensorBuffer buffer, FILE* file, int mode) {
  size_t size;
  void* data;
  CHECK(LiteRtGetTensorBufferPackedSize(buffer, &size));
  CHECK(LiteRtLockTensorBuffer(buffer, &data, mode));
  const size_t done = mode == kLiteRtTensorBufferLockModeWrite
                          ? fread(data, 1, size, file)
                          : fwrite(data, 1, size, file);
  CHECK(LiteRtUnlockTensorBuffer(buffer));
  if (done != size) {
    fprintf(stderr, "expected %zu more bytes of a tensor, found %zu\n", size,
            done);
    exit(1);
  }
}

int main(int argc, char** argv) {
  if (argc < 4) {
    Usage();
  }

  /* An environment whose only accelerator for the CPU is ours. */
  const LiteRtEnvOption none = {
      .tag = kLiteRtEnvOptionTagAutoRegisterAccelerators,
      .value = {.type = kLiteRtAnyTypeInt, .int_value = 0}};
  LiteRtEnvironment environment;
  CHECK(LiteRtCreateEnvironment(1, &none, &environment));
  if (tflite_sparse_litert_register(environment, NULL, Print) != 0) {
    return 1;
  }

  LiteRtModel model;
  LiteRtOptions options;
  LiteRtCompiledModel compiled;
  CHECK(LiteRtCreateModelFromFile(environment, argv[1], &model));
  CHECK(LiteRtCreateOptions(&options));
  CHECK(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu));
  SetOptions(argc - 4, argv + 4);
  const LiteRtStatus status =
      LiteRtCreateCompiledModel(environment, model, options, &compiled);
  struct TfLiteDelegate* delegate = tflite_sparse_litert_delegate();
  if (delegate == NULL) {
    Print(tflite_sparse_litert_error());
    Print("LiteRT compiled the model without the sparse delegate");
    return 1;
  }
  Check(status, "LiteRtCreateCompiledModel");
  char* report = tflite_sparse_report(delegate);
  puts(report == NULL ? "no memory for a report" : report);
  tflite_sparse_free(report);

  LiteRtSignature signature;
  LiteRtTensorBuffer inputs[kMostTensors];
  LiteRtTensorBuffer outputs[kMostTensors];
  size_t num_inputs;
  size_t num_outputs;
  CHECK(LiteRtGetModelSignature(model, 0, &signature));
  CHECK(LiteRtGetNumSignatureInputs(signature, &num_inputs));
  CHECK(LiteRtGetNumSignatureOutputs(signature, &num_outputs));
  if (num_inputs > kMostTensors || num_outputs > kMostTensors) {
    Print("the model has more than 16 inputs or outputs");
    return 1;
  }
  FILE* file = Open(argv[2], "rb");
  for (size_t i = 0; i < num_inputs; i++) {
    LiteRtTensor tensor;
    LiteRtTensorBufferRequirements needs;
    CHECK(LiteRtGetSignatureInputTensorByIndex(signature, i, &tensor));
    CHECK(
        LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, i, &needs));
    inputs[i] = CreateBuffer(environment, tensor, needs);
    Copy(inputs[i], file, kLiteRtTensorBufferLockModeWrite);
  }
  fclose(file);
  for (size_t i = 0; i < num_outputs; i++) {
    LiteRtTensor tensor;
    LiteRtTensorBufferRequirements needs;
    CHECK(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor));
    CHECK(
        LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, i, &needs));
    outputs[i] = CreateBuffer(environment, tensor, needs);
  }

  CHECK(LiteRtRunCompiledModel(compiled, 0, num_inputs, inputs, num_outputs,
                               outputs));

  file = Open(argv[3], "wb");
  for (size_t i = 0; i < num_outputs; i++) {
    Copy(outputs[i], file, kLiteRtTensorBufferLockModeRead);
  }
  if (fclose(file) != 0) {
    perror(argv[3]);
    return 1;
  }
  for (size_t i = 0; i < num_inputs; i++) {
    LiteRtDestroyTensorBuffer(inputs[i]);
  }
  for (size_t i = 0; i < num_outputs; i++) {
    LiteRtDestroyTensorBuffer(outputs[i]);
  }
  LiteRtDestroyCompiledModel(compiled);
  LiteRtDestroyOptions(options);
  LiteRtDestroyModel(model);
  LiteRtDestroyEnvironment(environment);
  return 0;
}
