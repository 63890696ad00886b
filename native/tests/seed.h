// The seed of random tests.

#ifndef TFLITE_SPARSE_NATIVE_TESTS_SEED_H_
#define TFLITE_SPARSE_NATIVE_TESTS_SEED_H_

#include <cstdint>
#include <cstdlib>

namespace tflite_sparse::testing {

// A whole number from the environment, or another.
inline uint32_t FromEnvironment(const char* name, uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr
             ? otherwise
             : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

// The same in every run, so that one that fails repeats: TFLITE_SPARSE_SEED=n
// draws others.
inline uint32_t Seed() { return FromEnvironment("TFLITE_SPARSE_SEED", 1); }

}  // namespace tflite_sparse::testing

#endif  // TFLITE_SPARSE_NATIVE_TESTS_SEED_H_
