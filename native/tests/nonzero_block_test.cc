// Products that leave zeros out, against nested loops that add every product,
// in the same order with fused operations: equal, NaN to NaN.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-lists.h"
#include "native/tests/nonzero.h"
#include "xnnpack/hardware-config.h"

namespace tflite_sparse::testing {
namespace {

constexpr uint32_t kSeed = 20261121;

struct List {
  const char* name;
  nonzero_list_fn function;
};

std::vector<List> AllLists() {
#if defined(__x86_64__)
  return {{"avx512vbmi2", nonzero_list_avx512vbmi2},
          {"avx2", nonzero_list_avx2}};
#else
  return {{"neon", nonzero_list_neon}};
#endif
}

bool RunsList(nonzero_list_fn function) {
#if defined(__x86_64__)
  return function == nonzero_list_for_this_machine() ||
         (function == nonzero_list_avx2 &&
          xnn_init_hardware_config()->use_x86_avx2);
#else
  return function == nonzero_list_for_this_machine();
#endif
}

class NonzeroList : public ::testing::TestWithParam<List> {};

TEST_P(NonzeroList, HasThePlacesOfWhatIsNotZeroInOrder) {
  if (!RunsList(GetParam().function)) {
    GTEST_SKIP() << "this processor cannot run " << GetParam().name;
  }
  Activations random(kSeed);
  for (int round = 0; round < 2000; round++) {
    const size_t num_channels = random.Pick(1, NONZERO_LIST_MAX_CHANNELS);
    const double share = static_cast<double>(random.Pick(0, 4)) / 4;
    std::vector<float> values(num_channels);
    std::vector<uint8_t> expected;
    for (size_t c = 0; c < num_channels; c++) {
      values[c] = random.Activation(share);
      if (values[c] != 0) {
        expected.push_back(static_cast<uint8_t>(c));
      }
    }
    const size_t capacity = (num_channels + 7) / 8 * 8;
    std::vector<uint8_t> places(capacity + 64, 0xAB);
    const size_t count =
        GetParam().function(values.data(), num_channels, places.data());
    ASSERT_EQ(count, expected.size()) << "round " << round;
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), places.begin()))
        << "round " << round;
    ASSERT_TRUE(std::all_of(places.begin() + static_cast<long>(capacity),
                            places.end(),
                            [](uint8_t place) { return place == 0xAB; }))
        << "round " << round << ": bytes past the list were written";
  }
}

INSTANTIATE_TEST_SUITE_P(Lists, NonzeroList, ::testing::ValuesIn(AllLists()),
                         [](const auto& info) { return info.param.name; });

// A random product of rows, and what it should give.
struct Product {
  explicit Product(const nonzero_kernels* kernels, Activations& random) {
    gemm.kernels = kernels;
    gemm.num_taps = std::vector<size_t>{1, 1, 2, 9, 25}[random.Pick(0, 4)];
    gemm.num_channels = random.Pick(1, gemm.num_taps == 1 ? 700 : 150);
    gemm.num_outputs = random.Pick(1, 300);
    gemm.min = random.Pick(0, 1) == 0 ? 0.0f : -kInfinity;
    gemm.max = random.Pick(0, 1) == 0 ? 1.5f : kInfinity;
    // More than this group's channels in a row, more rows than are read.
    stored_channels = gemm.num_channels + random.Pick(0, 9);
    num_stored = random.Pick(1, 60);
    num_rows = random.Pick(1, 40);
    share = static_cast<double>(random.Pick(0, 10)) / 10;
    const size_t nr = kernels->nr;
    const size_t blocks = (gemm.num_outputs + nr - 1) / nr;
    weights.resize(blocks * nr * (1 + gemm.num_taps * gemm.num_channels));
    std::generate(weights.begin(), weights.end(),
                  [&] { return random.Uniform(); });
    gemm.weights = weights.data();
    stored.resize(num_stored * stored_channels);
    for (size_t r = 0; r < num_stored; r++) {
      const bool is_zero = random.Pick(0, 9) == 0;
      for (size_t c = 0; c < stored_channels; c++) {
        stored[r * stored_channels + c] =
            is_zero ? 0.0f : random.Activation(share);
      }
    }
    zero.resize(gemm.num_channels);
    has_pointers = gemm.num_taps > 1 || random.Pick(0, 1) == 0;
    if (!has_pointers) {
      num_rows = std::min(num_rows, num_stored);
    }
    const size_t mr = random.Pick(1, 7);
    input.tile_rows = mr;
    input.rows = stored.data();
    input.row_bytes = stored_channels * sizeof(float);
    input.zero = zero.data();
    input.offset = 4096;
    pointers.assign((num_rows + mr - 1) / mr * mr * gemm.num_taps, zero.data());
    rows_read.resize(num_rows * gemm.num_taps);
    for (size_t r = 0; r < num_rows; r++) {
      for (size_t t = 0; t < gemm.num_taps; t++) {
        const float*& row = rows_read[r * gemm.num_taps + t];
        row = has_pointers ? (random.Pick(0, 4) == 0
                                  ? zero.data()
                                  : &stored[random.Pick(0, num_stored - 1) *
                                            stored_channels])
                           : &stored[r * stored_channels];
        pointers[r / mr * mr * gemm.num_taps + t * mr + r % mr] =
            row == zero.data()
                ? static_cast<const void*>(row)
                : reinterpret_cast<const void*>(
                      reinterpret_cast<uintptr_t>(row) - input.offset);
      }
    }
    input.pointers = has_pointers ? pointers.data() : nullptr;
  }

  float Expected(size_t r, size_t n) const {
    return DenseSum(gemm, n, [&](size_t t, size_t c) {
      return rows_read[r * gemm.num_taps + t][c];
    });
  }

  std::string Description() const {
    return std::to_string(gemm.num_taps) + " taps, " +
           std::to_string(gemm.num_channels) + " channels, " +
           std::to_string(gemm.num_outputs) + " outputs, " +
           std::to_string(num_rows) + " rows, zeros " + std::to_string(share) +
           ", lists of " + std::to_string(gemm.list_channels);
  }

  nonzero_gemm gemm = {};
  nonzero_input input = {};
  size_t stored_channels;
  size_t num_stored;
  size_t num_rows;
  double share;
  bool has_pointers;
  std::vector<float> weights;
  std::vector<float> stored;
  std::vector<float> zero;
  std::vector<const float*> rows_read;
  std::vector<const void*> pointers;
};

class NonzeroBlock : public ::testing::TestWithParam<Kernels> {};

TEST_P(NonzeroBlock, AddsWhatDenseLoopsAdd) {
  if (!Runs(GetParam().kernels)) {
    GTEST_SKIP() << "this processor cannot run " << GetParam().name;
  }
  Activations random(kSeed);
  for (int round = 0; round < 150; round++) {
    Product product(GetParam().kernels, random);
    nonzero_gemm& gemm = product.gemm;
    for (const List& list : AllLists()) {
      if (RunsList(list.function)) {
        gemm.list = list.function;
      }
    }
    ASSERT_NE(gemm.list, nullptr);
    const size_t caches[] = {1, 16 * 1024, 48 * 1024, 1024 * 1024};
    nonzero_gemm_lay_out(&gemm, product.num_rows, caches[random.Pick(0, 3)]);
    SCOPED_TRACE("round " + std::to_string(round) + ": " +
                 product.Description());
    product.input.lists_stride =
        gemm.lists_bytes + 8 * (round % 2 == 0 ? 0 : 5);
    std::vector<uint8_t> lists(product.num_stored * product.input.lists_stride);
    for (size_t r = 0; r < product.num_stored; r++) {
      nonzero_lists_make(&gemm, &product.stored[r * product.stored_channels],
                         &lists[r * product.input.lists_stride]);
    }
    product.input.lists = gemm.num_taps == 1 ? nullptr : lists.data();

    // Part of the rows, and of the outputs from a block's start on.
    const size_t nr = gemm.kernels->nr;
    const size_t row_start = random.Pick(0, product.num_rows - 1);
    // One row may have several sums of each output.
    gemm.num_sums = size_t{1} << random.Pick(0, 2);
    const size_t num_rows =
        gemm.num_sums > 1 ? 1 : random.Pick(1, product.num_rows - row_start);
    const size_t output_start =
        random.Pick(0, (gemm.num_outputs - 1) / nr) * nr;
    const size_t num_outputs =
        random.Pick(0, 1) == 0
            ? gemm.num_outputs - output_start
            : std::min(gemm.num_outputs - output_start, 2 * nr);
    Outputs outputs(product.num_rows, gemm.num_outputs, random.Pick(0, 1) == 0);
    const nonzero_output output = outputs.AsOutput(row_start);

    std::vector<uint64_t> scratch(
        nonzero_block_scratch_bytes(&gemm, num_rows, num_outputs) / 8 + 16);
    void* memory = reinterpret_cast<void*>(
        (reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
    const nonzero_block_work work =
        nonzero_block_look(&gemm, &product.input, row_start, num_rows, memory);
    if (gemm.num_taps == 1) {
      size_t nonzeros = 0;
      for (size_t r = row_start; r < row_start + num_rows; r++) {
        const float* row = product.rows_read[r];
        nonzeros += static_cast<size_t>(
            std::count_if(row, row + gemm.num_channels,
                          [](float value) { return value != 0; }));
      }
      ASSERT_EQ(work.num_nonzeros, nonzeros);
    }
    nonzero_block_run(&gemm, &product.input, &output, row_start, num_rows,
                      output_start, num_outputs, memory);

    outputs.Expect(row_start, num_rows, output_start, num_outputs,
                   [&](size_t r, size_t n) { return product.Expected(r, n); });
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, NonzeroBlock,
                         ::testing::ValuesIn(AllKernels()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tflite_sparse::testing
