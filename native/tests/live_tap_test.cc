// The kernels that skip dead taps, against nested loops: equal to the bit. In
// float32 they add the same products in the same order with fused operations;
// in 8 bits they add them, and what rows of zeros add through dead taps.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/engine/kernels/instruction-set.h"
#include "native/engine/kernels/live-tap.h"
#include "native/engine/kernels/zero-sums.h"
#include "native/tests/seed.h"

namespace {

std::vector<tile_kernel> Kernels(bool is_int8) {
  std::vector<tile_kernel> kernels;
  for (const tile_kernel* k = live_tap_kernels; k->run != nullptr; k++) {
    if ((k->format.type == tile_format::tile_int8) == is_int8) {
      kernels.push_back(*k);
    }
  }
  return kernels;
}

bool IsPresent(const tile_kernel& kernel) {
  return instruction_set_is_present(kernel.instruction_set);
}

std::string Name(const tile_kernel& kernel) {
  return std::string(kernel.format.type == tile_format::tile_int8
                         ? "int8_"
                         : "float32_") +
         std::to_string(kernel.format.mr) + "x" +
         std::to_string(kernel.format.nr) + "_set" +
         std::to_string(kernel.instruction_set);
}

class LiveTap : public ::testing::TestWithParam<tile_kernel> {};

TEST_P(LiveTap, AddsLiveTapsAlone) {
  const tile_format& kernel = GetParam().format;
  if (!IsPresent(GetParam())) {
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
    tile tile = {};
    tile.live_taps = live;
    tile.pointers = pointers.data();
    tile.zero = zero.data();
    tile.input_offset = reinterpret_cast<size_t>(input.data());
    tile.row_bytes = kc * sizeof(float);
    tile.num_taps = taps;
    tile.weights = weights.data();
    tile.params = &bounds;
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

INSTANTIATE_TEST_SUITE_P(Kernels, LiveTap, ::testing::ValuesIn(Kernels(false)),
                         [](const auto& info) { return Name(info.param); });

class LiveTapInt8 : public ::testing::TestWithParam<tile_kernel> {};

TEST_P(LiveTapInt8, AddsLiveTapsAndZerosOfDeadOnes) {
  const tile_kernel& kernel = GetParam();
  if (!IsPresent(kernel)) {
    GTEST_SKIP() << "this processor cannot run " << Name(kernel);
  }
  const size_t mr = kernel.format.mr;
  const size_t nr = kernel.format.nr;
  const size_t kr = kernel.format.kr;
  const uint32_t seed = tflite_sparse::testing::Seed();
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 300; round++) {
    const size_t taps = pick(1, round % 3 == 0 ? 64 : 9);
    const size_t kc = pick(1, round % 3 == 0 ? 5 : 200);
    const size_t rows = pick(1, static_cast<int>(mr));
    const size_t channels = pick(1, 3 * static_cast<int>(nr));
    const uint64_t all = taps == 64 ? ~UINT64_C(0) : (UINT64_C(1) << taps) - 1;
    const uint64_t live =
        pick(0, 4) == 0
            ? all
            : (static_cast<uint64_t>(random()) << 32 | random()) & all;
    const int zero_point = pick(-128, 127);
    SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(seed) + ", taps " +
                 std::to_string(taps) + ", live " + std::to_string(live) +
                 ", input channels " + std::to_string(kc) + ", rows " +
                 std::to_string(rows) + ", channels " +
                 std::to_string(channels));

    // Rows of dead taps hold anything, and so does what kernels may read past
    // the end of rows.
    const size_t slack = 64;
    std::vector<int8_t> input(taps * mr * kc + slack);
    std::generate(input.begin(), input.end(), [&] { return pick(-128, 127); });
    const std::vector<int8_t> zero(kc + slack, zero_point);
    std::vector<const void*> pointers(taps * mr);
    std::vector<const int8_t*> values(taps * mr);
    for (size_t i = 0; i < pointers.size(); i++) {
      const bool is_zero = pick(0, 3) == 0;
      values[i] = is_zero ? zero.data() : input.data() + i * kc;
      pointers[i] = is_zero ? static_cast<const void*>(zero.data())
                            : reinterpret_cast<const void*>(i * kc);
    }

    // As upstream packs them: biases, taps of groups of kr channels, scales.
    const size_t groups = (kc + kr - 1) / kr;
    const size_t blocks = (channels + nr - 1) / nr;
    const size_t block = nr * (4 + taps * groups * kr + 4);
    const auto weight = [&](size_t n, size_t t, size_t k) {
      return n / nr * block + nr * (4 + (t * groups + k / kr) * kr) +
             n % nr * kr + k % kr;
    };
    std::vector<int8_t> weights(blocks * block);
    std::vector<int32_t> biases(blocks * nr);
    std::vector<float> scales(blocks * nr);
    for (size_t n = 0; n < blocks * nr; n++) {
      biases[n] = pick(-10000, 10000);
      scales[n] = static_cast<float>(pick(1, 1000)) * 1e-5f;
      int8_t* begin = &weights[n / nr * block];
      std::memcpy(begin + n % nr * 4, &biases[n], 4);
      std::memcpy(begin + block - nr * 4 + n % nr * 4, &scales[n], 4);
      for (size_t t = 0; t < taps; t++) {
        for (size_t k = 0; k < kc; k++) {
          weights[weight(n, t, k)] = pick(-127, 127);
        }
      }
    }
    const int output_zero_point = pick(-128, 127);
    const int least = pick(-128, 0);
    const int most = pick(1, 127);
#if defined(__aarch64__)
    const struct {
      int16_t zero_point;
      int8_t least, most;
    } params = {static_cast<int16_t>(output_zero_point),
                static_cast<int8_t>(least), static_cast<int8_t>(most)};
#else
    const int16_t params[] = {static_cast<int16_t>(output_zero_point),
                              static_cast<int16_t>(least),
                              static_cast<int16_t>(most)};
#endif
    const size_t zeros_stride = zero_sums_stride(&kernel.format, channels);
    std::vector<int32_t> zeros(taps * zeros_stride);
    const packed_int8 packed = {weights.data(), taps, kc, channels};
    zero_sums_write(&kernel.format, &packed, zero_point + kernel.input_offset,
                    zeros.data());
    tile tile = {};
    tile.live_taps = live;
    tile.pointers = pointers.data();
    tile.zero = zero.data();
    tile.input_offset = reinterpret_cast<size_t>(input.data());
    tile.row_bytes = kc;
    tile.num_taps = taps;
    tile.weights = weights.data();
    tile.params = &params;
    tile.zero_sums = zeros.data();
    tile.zero_sums_stride = zeros_stride;
    const size_t stride = channels + 5;
    const int8_t untouched = 77;
    std::vector<int8_t> output(rows * stride, untouched);
    kernel.run(&tile, rows, channels, output.data(), stride);

    for (size_t m = 0; m < rows; m++) {
      for (size_t n = 0; n < stride; n++) {
        long expected = untouched;
        if (n < channels) {
          int32_t sum = biases[n];
          for (size_t t = 0; t < taps; t++) {
            for (size_t k = 0; k < kc; k++) {
              const int32_t x =
                  live >> t & 1 ? values[t * mr + m][k] : zero_point;
              sum += (x + kernel.input_offset) * weights[weight(n, t, k)];
            }
          }
          const float scaled = static_cast<float>(sum) * scales[n];
          expected = std::clamp<long>(std::lrint(scaled) + output_zero_point,
                                      least, most);
        }
        ASSERT_EQ(output[m * stride + n], expected)
            << "row " << m << ", channel " << n;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, LiveTapInt8,
                         ::testing::ValuesIn(Kernels(true)),
                         [](const auto& info) { return Name(info.param); });

// Steps of 64 bytes, of one tap or of several that follow one another.
TEST(LiveTap, ShareOfSteps) {
  tile_kernel kernel = {};
  kernel.format.kr = 4;
  EXPECT_DOUBLE_EQ(tile_kernel_share(&kernel, 0x1F, 9, 256), 5.0 / 9);
  kernel.step_bytes = 64;
  EXPECT_DOUBLE_EQ(tile_kernel_share(&kernel, 0x1F, 9, 256), 5.0 / 9);
  // 49 taps of 3 channels, which are 4 bytes each: 196 bytes.
  EXPECT_DOUBLE_EQ(tile_kernel_share(&kernel, (UINT64_C(1) << 49) - 1, 49, 3),
                   4.0 / 49);
  // Taps 0 and 3 of 32 bytes: the second step begins with tap 3.
  EXPECT_DOUBLE_EQ(tile_kernel_share(&kernel, 0x9, 9, 32), 2.0 / 9);
  // Taps 0 and 1 are one step.
  EXPECT_DOUBLE_EQ(tile_kernel_share(&kernel, 0x3, 9, 32), 1.0 / 9);
  // 96 bytes each: the second step has 32 of tap 0 and 32 of tap 1.
  EXPECT_DOUBLE_EQ(tile_kernel_share(&kernel, 0x3, 9, 96), 3.0 / 18);
}

TEST(LiveTap, FindsAKernelForTheFormatAlone) {
  for (const bool is_int8 : {false, true}) {
    for (const tile_kernel& kernel : Kernels(is_int8)) {
      const tile_kernel* found =
          tile_kernel_find(live_tap_kernels, kernel.format);
      EXPECT_EQ(found != nullptr, IsPresent(kernel)) << Name(kernel);
      tile_format other = kernel.format;
      other.sr = 2;
      EXPECT_EQ(tile_kernel_find(live_tap_kernels, other), nullptr);
    }
  }
}

}  // namespace
