/* Run a model with the sparse delegate in any TensorFlow Lite that has its C API and its external
 * delegates: external_delegate DELEGATE.so MODEL.tflite [MODE]. Inputs are zeros; it prints the first
 * value of the first output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/lite/c/c_api.h>
#include <tensorflow/lite/delegates/external/external_delegate.h>

static void fail(const char* what) {
  fprintf(stderr, "external_delegate: %s\n", what);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc < 3) fail("usage: external_delegate DELEGATE.so MODEL.tflite [MODE]");
  TfLiteExternalDelegateOptions external = TfLiteExternalDelegateOptionsDefault(argv[1]);
  external.insert(&external, "num_threads", "2");
  external.insert(&external, "mode", argc > 3 ? argv[3] : "compact");
  TfLiteDelegate* delegate = TfLiteExternalDelegateCreate(&external);
  if (!delegate) fail("the delegate cannot be loaded");

  TfLiteModel* model = TfLiteModelCreateFromFile(argv[2]);
  if (!model) fail("the model cannot be read");
  TfLiteInterpreterOptions* options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsAddDelegate(options, delegate);
  TfLiteInterpreter* interpreter = TfLiteInterpreterCreate(model, options);
  if (!interpreter || TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk)
    fail("the model cannot be prepared");
  for (int i = 0; i < TfLiteInterpreterGetInputTensorCount(interpreter); i++) {
    TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter, i);
    memset(TfLiteTensorData(input), 0, TfLiteTensorByteSize(input));
  }
  if (TfLiteInterpreterInvoke(interpreter) != kTfLiteOk) fail("the model cannot be run");
  const TfLiteTensor* output = TfLiteInterpreterGetOutputTensor(interpreter, 0);
  printf("%.6g\n", *(const float*)TfLiteTensorData(output));

  TfLiteInterpreterDelete(interpreter);
  TfLiteExternalDelegateDelete(delegate); /* after the interpreter */
  TfLiteInterpreterOptionsDelete(options);
  TfLiteModelDelete(model);
  return 0;
}
