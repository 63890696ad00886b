// The options of a delegate, from the strings that a runtime hands over.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_OPTIONS_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_OPTIONS_H_

#include <cstddef>
#include <string>

namespace tflite_sparse {

struct Options {
  // Never 0: parsing counts the cores.
  int num_threads = 1;
  std::string mode = "compact";
  std::string skip_zeros = "auto";
  bool int8 = true;
  bool profile = false;
};

// Reads n options into *options. If one is unknown, repeated or has a bad
// value, returns the sentence that says so; otherwise an empty string.
std::string ParseOptions(const char* const* keys, const char* const* values,
                         size_t n, Options* options);

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_OPTIONS_H_
