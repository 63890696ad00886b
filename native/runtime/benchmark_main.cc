// TFLite's benchmark, which does not run when the environment is wrong: it
// would measure something else than was asked for.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "native/runtime/default_delegate.h"
#include "tensorflow/lite/tools/benchmark/benchmark_tflite_model.h"

int main(int argc, char** argv) {
  const std::string error = tflite_sparse::EnvironmentError();
  if (!error.empty()) {
    fprintf(stderr, "%s\n", error.c_str());
    return EXIT_FAILURE;
  }
  tflite::benchmark::BenchmarkTfLiteModel benchmark;
  return benchmark.Run(argc, argv) == kTfLiteOk ? EXIT_SUCCESS : EXIT_FAILURE;
}
