// The kernels that skip dead taps, against nested loops that add the same
// products in the same order with fused operations: equal to the bit.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/engine/kernels/live-tap.h"
#include "native/tests/seed.h"

namespace {

std::vector<tile_kernel> Kernels() {
  std::vector<tile_kernel> kernels;
  for (const tile_kernel* k = live_tap_kernels; k->run != nullptr; k++) {
    kernels.push_back(*k);
  }
  return kernels;
}

std::string Name(const tile_kernel& kernel) {
  return std::to_string(kernel.format.mr) + "x" +
         std::to_string(kernel.format.nr) + "_set" +
         std::to_string(kernel.instruction_set);
}

class LiveTap : public ::testing::TestWithParam<tile_kernel> {};

TEST_P(LiveTap, AddsLiveTapsAlone) {
  const tile_format& kernel = GetParam().format;
  if (tile_kernel_find(live_tap_kernels, kernel) != GetParam().run) {
    GTEST_SKIP() << "this processor cannot run " << Name(GetParam());
  }
  const uint32_t seed = tflite_sparse::testing::Seed();
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const auto pick = [&](size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(random);
  };
  for (int round = 0; round < 200; round++) {
    const size_t taps = pick(1, 64);
    const size_t kc = pick(1, 33);
    const size_t rows = pick(1, kernel.mr);
    const size_t channels = pick(1, 3 * kernel.nr);
    const uint64_t all = taps == 64 ? ~UINT64_C(0) : (UINT64_C(1) << taps) - 1;
    const uint64_t live =
        (static_cast<uint64_t>(random()) << 32 | random()) & all;
    SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(seed) + ", taps " +
                 std::to_string(taps) + ", live " + std::to_string(live) +
                 ", input channels " + std::to_string(kc) + ", rows " +
                 std::to_string(rows) + ", channels " +
                 std::to_string(channels));

    // Rows of dead taps would poison the sum. Some live rows are the zero row,
    // which does not move with the offset. As in an operator, pointers are
    // offsets from the input: so small that none is the zero row's address.
    std::vector<float> input(taps * kernel.mr * kc);
    std::generate(input.begin(), input.end(), [&] { return uniform(random); });
    const std::vector<float> zero(kc, 0.0f);
    std::vector<const void*> pointers(taps * kernel.mr);
    std::vector<const float*> values(taps * kernel.mr);
    for (size_t i = 0; i < pointers.size(); i++) {
      float* row = input.data() + i * kc;
      if (!(live >> (i / kernel.mr) & 1)) {
        std::fill_n(row, kc, std::numeric_limits<float>::quiet_NaN());
      }
      const bool is_zero = pick(0, 3) == 0;
      values[i] = is_zero ? zero.data() : row;
      pointers[i] = is_zero
                        ? static_cast<const void*>(zero.data())
                        : reinterpret_cast<const void*>(i * kc * sizeof(float));
    }
    const size_t blocks = (channels + kernel.nr - 1) / kernel.nr;
    const size_t block = kernel.nr * (1 + taps * kc);
    std::vector<float> weights(blocks * block);
    std::generate(weights.begin(), weights.end(),
                  [&] { return uniform(random); });
    const struct {
      float min;
      float max;
    } bounds = {-1.5f, 1.25f};
    const tile tile = {live,
                       pointers.data(),
                       zero.data(),
                       reinterpret_cast<size_t>(input.data()),
                       kc,
                       taps,
                       weights.data(),
                       &bounds};
    const size_t stride = channels + 5;
    const float untouched = 77.0f;
    std::vector<float> output(rows * stride, untouched);
    GetParam().run(&tile, rows, channels, output.data(),
                   stride * sizeof(float));

    for (size_t m = 0; m < rows; m++) {
      for (size_t n = 0; n < stride; n++) {
        float expected = untouched;
        if (n < channels) {
          const float* w = &weights[n / kernel.nr * block + n % kernel.nr];
          expected = w[0];
          for (size_t t = 0; t < taps; t++) {
            for (size_t k = 0; (live >> t & 1) && k < kc; k++) {
              expected = std::fma(values[t * kernel.mr + m][k],
                                  w[kernel.nr * (1 + t * kc + k)], expected);
            }
          }
          expected = std::min(std::max(expected, bounds.min), bounds.max);
        }
        ASSERT_EQ(output[m * stride + n], expected)
            << "row " << m << ", channel " << n;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, LiveTap, ::testing::ValuesIn(Kernels()),
                         [](const auto& info) { return Name(info.param); });
// aarch64 has no such kernels.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveTap);

}  // namespace
