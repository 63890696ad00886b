// What tests of products that leave zeros out share.

#ifndef TFLITE_SPARSE_NATIVE_TESTS_NONZERO_H_
#define TFLITE_SPARSE_NATIVE_TESTS_NONZERO_H_

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "native/engine/zeros/nonzero-gemm.h"
#include "xnnpack/hardware-config.h"

namespace tflite_sparse::testing {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Random activations and sizes.
class Activations {
 public:
  explicit Activations(uint32_t seed) : engine_(seed) {}

  size_t Pick(size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(engine_);
  }

  float Uniform() {
    return std::uniform_real_distribution<float>(-1, 1)(engine_);
  }

  // Zero with a probability, -0 among them, and now and then what is special.
  float Activation(double share_of_zeros) {
    if (std::uniform_real_distribution<double>(0, 1)(engine_) <
        share_of_zeros) {
      return Pick(0, 3) == 0 ? -0.0f : 0.0f;
    }
    switch (Pick(0, 199)) {
      case 0:
        return kInfinity;
      case 1:
        return kNaN;
      case 2:
      case 3:
        return std::numeric_limits<float>::denorm_min();
      default:
        return Uniform();
    }
  }

 private:
  std::mt19937 engine_;
};

// The kernels of one instruction set.
struct Kernels {
  const char* name;
  const nonzero_kernels* kernels;
};

inline std::vector<Kernels> AllKernels() {
#if defined(__x86_64__)
  return {{"avx512f_x32", &kNonzeroAvx512fx32},
          {"avx512f_x16", &kNonzeroAvx512fx16},
          {"fma3_x16", &kNonzeroFma3x16}};
#else
  return {{"neon_x8", &kNonzeroNeonx8}};
#endif
}

// Whether this processor has their instructions.
inline bool Runs(const nonzero_kernels* kernels) {
#if defined(__x86_64__)
  return kernels == &kNonzeroFma3x16
             ? xnn_init_hardware_config()->use_x86_fma3
             : xnn_init_hardware_config()->use_x86_avx512f;
#else
  return kernels == nonzero_kernels_for(kernels->nr);
#endif
}

}  // namespace tflite_sparse::testing

#endif  // TFLITE_SPARSE_NATIVE_TESTS_NONZERO_H_
