// Convolutions that spread nonzeros to their readers, against nested loops that
// add every product, in the same order with fused operations: equal, NaN to
// NaN.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "native/engine/zeros/nonzero-spread.h"
#include "native/tests/nonzero.h"
#include "xnnpack.h"

namespace tflite_sparse::testing {
namespace {

constexpr uint32_t kSeed = 20261122;

// A random convolution between planes, the input's masked and its rows in any
// order.
struct Layer {
  Layer(const nonzero_kernels* kernels, Activations& random) {
    height = random.Pick(1, 12);
    width = random.Pick(1, 12);
    kernel_height = random.Pick(1, 5);
    kernel_width = random.Pick(1, 5);
    stride = random.Pick(1, 3);
    dilation = random.Pick(1, 2);
    padding = random.Pick(0, 4);
    output_height = random.Pick(1, 12);
    output_width = random.Pick(1, 12);
    num_rows = random.Pick(1, output_height * output_width);
    gemm.kernels = kernels;
    gemm.num_taps = kernel_height * kernel_width;
    gemm.num_channels = random.Pick(1, 150);
    gemm.num_outputs = random.Pick(1, 3 * kernels->nr);
    gemm.num_sums = 1;
    gemm.min = random.Pick(0, 1) == 0 ? 0.0f : -kInfinity;
    gemm.max = random.Pick(0, 1) == 0 ? 1.5f : kInfinity;
    const size_t nr = kernels->nr;
    weights.resize((gemm.num_outputs + nr - 1) / nr * nr *
                   (1 + gemm.num_taps * gemm.num_channels));
    std::generate(weights.begin(), weights.end(),
                  [&] { return random.Uniform(); });
    gemm.weights = weights.data();

    // As many rows as pixels: some belong to masked ones, and are NaN.
    row_of_pixel.resize(height * width);
    std::iota(row_of_pixel.begin(), row_of_pixel.end(), 0);
    is_compact = random.Pick(0, 1) == 0;
    is_masked.resize(height * width);
    if (is_compact) {
      std::shuffle(row_of_pixel.begin(), row_of_pixel.end(),
                   std::mt19937(static_cast<uint32_t>(random.Pick(0, 999))));
      const size_t share = random.Pick(0, 9);
      for (size_t p = 0; p < height * width; p++) {
        is_masked[p] = random.Pick(0, 9) < share;
      }
    }
    stored_channels = gemm.num_channels + random.Pick(0, 9);
    zeros = static_cast<double>(random.Pick(0, 10)) / 10;
    stored.resize(height * width * stored_channels);
    for (size_t p = 0; p < height * width; p++) {
      // Now and then nothing, in the first channels or in all.
      const size_t num_zeros = random.Pick(0, 9) == 0 ? random.Pick(0, 150) : 0;
      for (size_t c = 0; c < stored_channels; c++) {
        stored[row_of_pixel[p] * stored_channels + c] =
            is_masked[p] || c >= gemm.num_channels ? kNaN
            : c < num_zeros                        ? 0.0f
                                                   : random.Activation(zeros);
      }
    }
    for (size_t r = 0; r < num_rows; r++) {
      for (size_t t = 0; t < gemm.num_taps; t++) {
        pixels.push_back(PixelUnderTap(r, t));
      }
    }
  }

  uint32_t PixelUnderTap(size_t row, size_t tap) const {
    const size_t y =
        row / output_width * stride + tap / kernel_width * dilation;
    const size_t x =
        row % output_width * stride + tap % kernel_width * dilation;
    if (y < padding || x < padding || y - padding >= height ||
        x - padding >= width) {
      return NONZERO_NO_PIXEL;
    }
    const size_t pixel = (y - padding) * width + x - padding;
    return is_masked[pixel] ? NONZERO_NO_PIXEL : static_cast<uint32_t>(pixel);
  }

  float Expected(size_t row, size_t n) const {
    return DenseSum(gemm, n, [&](size_t t, size_t c) {
      const uint32_t pixel = pixels[row * gemm.num_taps + t];
      return pixel == NONZERO_NO_PIXEL
                 ? 0.0f
                 : stored[row_of_pixel[pixel] * stored_channels + c];
    });
  }

  std::string Description() const {
    return std::to_string(height) + "x" + std::to_string(width) + "x" +
           std::to_string(gemm.num_channels) + " to " +
           std::to_string(num_rows) + "x" + std::to_string(gemm.num_outputs) +
           ", kernel " + std::to_string(kernel_height) + "x" +
           std::to_string(kernel_width) + ", stride " + std::to_string(stride) +
           ", dilation " + std::to_string(dilation) + ", padding " +
           std::to_string(padding) + ", zeros " + std::to_string(zeros);
  }

  nonzero_gemm gemm = {};
  size_t height, width, kernel_height, kernel_width, stride, dilation, padding;
  size_t output_height, output_width, num_rows, stored_channels;
  bool is_compact;
  double zeros;
  std::vector<float> weights;
  std::vector<float> stored;
  std::vector<uint32_t> row_of_pixel;
  std::vector<bool> is_masked;
  std::vector<uint32_t> pixels;
};

class NonzeroSpread : public ::testing::TestWithParam<Kernels> {
  void SetUp() override {
    ASSERT_EQ(xnn_initialize(nullptr), xnn_status_success);
    if (!Runs(GetParam().kernels)) {
      GTEST_SKIP() << "this processor cannot run " << GetParam().name;
    }
  }
};

TEST_P(NonzeroSpread, AddsWhatDenseLoopsAdd) {
  Activations random(kSeed);
  for (int round = 0; round < 200; round++) {
    Layer layer(GetParam().kernels, random);
    nonzero_gemm& gemm = layer.gemm;
    SCOPED_TRACE("round " + std::to_string(round) + ": " + layer.Description());
    // A block of the rows, and of the outputs from a block's start on.
    const size_t nr = gemm.kernels->nr;
    const size_t row_start = random.Pick(0, layer.num_rows - 1);
    const size_t num_rows = random.Pick(1, layer.num_rows - row_start);
    const size_t output_start =
        random.Pick(0, (gemm.num_outputs - 1) / nr) * nr;
    const size_t num_outputs =
        std::min(gemm.num_outputs - output_start, random.Pick(1, 2) * nr);
    nonzero_readers readers;
    const size_t caches[] = {1, 16 * 1024, 1024 * 1024};
    nonzero_gemm_lay_out(&gemm, num_rows, caches[random.Pick(0, 2)]);
    ASSERT_TRUE(nonzero_readers_find(
        &gemm, &layer.pixels[row_start * gemm.num_taps], num_rows,
        layer.is_compact ? layer.row_of_pixel.data() : nullptr, &readers));

    Outputs outputs(layer.num_rows, gemm.num_outputs, random.Pick(0, 1) == 0);
    const nonzero_output output = outputs.AsOutput(row_start);
    nonzero_input input = {};
    input.rows = layer.stored.data();
    input.row_bytes = layer.stored_channels * sizeof(float);
    std::vector<float> scratch(nonzero_spread_scratch_bytes(&gemm, num_rows) /
                               sizeof(float));
    nonzero_spread_run(&gemm, &readers, &input, &output, row_start,
                       output_start, num_outputs, scratch.data());
    nonzero_readers_release(&readers);

    outputs.Expect(row_start, num_rows, output_start, num_outputs,
                   [&](size_t r, size_t n) { return layer.Expected(r, n); });
  }
}

// Neighbouring windows have the same readers: tables stay small.
TEST_P(NonzeroSpread, StoresWhatRepeatsOnce) {
  const size_t size = 40;
  for (const size_t stride : {1, 2, 3}) {
    nonzero_gemm gemm = {};
    gemm.kernels = GetParam().kernels;
    gemm.num_taps = 9;
    gemm.num_channels = 4;
    gemm.taps_at_once = 9;
    std::vector<uint32_t> pixels;
    for (size_t y = 0; y < size / stride; y++) {
      for (size_t x = 0; x < size / stride; x++) {
        for (size_t tap = 0; tap < 9; tap++) {
          const size_t tap_y = y * stride + tap / 3;
          const size_t tap_x = x * stride + tap % 3;
          const bool inside =
              tap_y > 0 && tap_x > 0 && tap_y <= size && tap_x <= size;
          pixels.push_back(
              inside ? static_cast<uint32_t>((tap_y - 1) * size + tap_x - 1)
                     : NONZERO_NO_PIXEL);
        }
      }
    }
    nonzero_readers readers;
    ASSERT_TRUE(nonzero_readers_find(&gemm, pixels.data(), pixels.size() / 9,
                                     nullptr, &readers));
    EXPECT_EQ(readers.num_live_taps,
              static_cast<size_t>(std::count_if(
                  pixels.begin(), pixels.end(),
                  [](uint32_t p) { return p != NONZERO_NO_PIXEL; })));
    // A line has its ends, and what repeats between them.
    EXPECT_LE(readers.num_readers, size * 9 * 3 * 2);
    EXPECT_LE(nonzero_readers_bytes(&readers), size * size * 40);
    nonzero_readers_release(&readers);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, NonzeroSpread,
                         ::testing::ValuesIn(AllKernels()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tflite_sparse::testing
