#include "native/upstream/sparse_delegate.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "native/delegate/options.h"
#include "native/delegate/session.h"

#undef TfLiteXNNPackDelegateCreate

namespace tflite_sparse {
namespace {

Options OptionsOfTheEnvironment() {
  std::vector<const char*> keys;
  std::vector<const char*> values;
  const auto add = [&](const char* key, const char* variable) {
    if (const char* const value = getenv(variable)) {
      keys.push_back(key);
      values.push_back(value);
    }
  };
  add("mode", "TFLITE_SPARSE_MODE");
  add("skip_zeros", "TFLITE_SPARSE_SKIP_ZEROS");
  Options options;
  const std::string error =
      ParseOptions(keys.data(), values.data(), keys.size(), &options);
  if (!error.empty()) {
    fprintf(stderr, "%s\n", error.c_str());
    exit(EXIT_FAILURE);
  }
  return options;
}

}  // namespace

TfLiteDelegate* CreateSparseDelegate(
    const TfLiteXNNPackDelegateOptions* options) {
  TfLiteXNNPackDelegateOptions with_session =
      options != nullptr ? *options : TfLiteXNNPackDelegateOptionsDefault();
  // Never destroyed: upstream's function for it knows of no session.
  with_session.observer = new Session(OptionsOfTheEnvironment());
  return TfLiteXNNPackDelegateCreate(&with_session);
}

}  // namespace tflite_sparse
