// What tests of products that leave zeros out share.

#ifndef TFLITE_SPARSE_NATIVE_TESTS_NONZERO_H_
#define TFLITE_SPARSE_NATIVE_TESTS_NONZERO_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "native/engine/zeros/nonzero-block.h"
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

// What a dense kernel gives for output `n` of a row whose activation under tap
// `t` in channel `c` is `value(t, c)`: every product, in upstream's order, with
// fused operations.
template <typename F>
float DenseSum(const nonzero_gemm& gemm, size_t n, const F& value) {
  const size_t nr = gemm.kernels->nr;
  const float* w = gemm.weights +
                   n / nr * nr * (1 + gemm.num_taps * gemm.num_channels) +
                   n % nr;
  std::vector<float> sums(gemm.num_sums);
  sums[0] = *w;
  for (size_t t = 0; t < gemm.num_taps; t++) {
    for (size_t c = 0; c < gemm.num_channels; c++) {
      w += nr;
      float& sum = sums[c % gemm.num_sums];
      sum = std::fma(value(t, c), *w, sum);
    }
  }
  while (sums.size() > 1) {
    const size_t half = sums.size() / 2;
    for (size_t s = 0; s < half; s++) {
      sums[s] += sums[half + s];
    }
    sums.resize(half);
  }
  float sum = sums[0];
  sum = sum < gemm.min ? gemm.min : sum;
  return sum > gemm.max ? gemm.max : sum;
}

// Outputs of which a part is computed, each row at its place or at another.
class Outputs {
 public:
  Outputs(size_t num_rows, size_t num_outputs, bool scatters)
      : num_rows_(num_rows),
        stride_(num_outputs + 3),
        values_((2 * num_rows + 1) * stride_, kUntouched) {
    for (size_t r = 0; scatters && r < num_rows; r++) {
      places_.push_back(static_cast<uint32_t>(2 * r + 1));
    }
  }

  // For a block of rows from `row_start` on.
  nonzero_output AsOutput(size_t row_start) {
    return {values_.data(), stride_ * sizeof(float),
            places_.empty() ? nullptr : places_.data() + row_start};
  }

  // Expects `expected(row, output)` in a part, NaN for NaN, and that nothing
  // else was written.
  template <typename F>
  void Expect(size_t row_start, size_t num_rows, size_t output_start,
              size_t num_outputs, const F& expected) const {
    for (size_t place = 0; place <= 2 * num_rows_; place++) {
      const bool is_written = places_.empty() || place % 2 == 1;
      const size_t r = places_.empty() ? place : place / 2;
      for (size_t n = 0; n < stride_; n++) {
        const float actual = values_[place * stride_ + n];
        if (is_written && r >= row_start && r < row_start + num_rows &&
            n >= output_start && n < output_start + num_outputs) {
          const float wanted = expected(r, n);
          ASSERT_TRUE(actual == wanted ||
                      (std::isnan(actual) && std::isnan(wanted)))
              << "row " << r << ", output " << n << ": " << actual
              << ", expected " << wanted;
        } else {
          ASSERT_EQ(actual, kUntouched) << "row " << r << ", output " << n;
        }
      }
    }
  }

 private:
  static constexpr float kUntouched = 77.0f;

  size_t num_rows_;
  size_t stride_;
  std::vector<float> values_;
  std::vector<uint32_t> places_;
};

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
