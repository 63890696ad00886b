// 8 bits, in AMX tiles. Upstream packs weights in groups of four input
// channels, tap after tap, so that up to 16 groups that follow one another are
// one tile of weights, be they of one tap or of several: a first layer's 49
// taps of 3 channels are 4 multiplications instead of 49.

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/kernels/live-tap-int8-avx512.h"
#include "native/engine/kernels/live-tap.h"

enum {
  MR = 16,
  NR = 64,
  // Channels of a group, groups of a step, and steps whose inputs are put
  // together before they are multiplied: tiles are loaded from memory, and
  // stores have to get there first.
  kGroup = 4,
  kMostGroups = 16,
  kSteps = 8,
};

// As the instruction takes it.
struct tile_config {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// Registers: sums of 16 channels each, inputs, weights.
enum { kSums = 0, kInputs = 4, kWeights = 5, kRegisters = 8 };

typedef int8_t step_inputs[MR][64];

static void configure(size_t num_rows, size_t groups) {
  struct tile_config config = {.palette = 1};
  for (size_t r = 0; r < kRegisters; r++) {
    config.rows[r] = (uint8_t)(r < kWeights ? num_rows : groups);
    config.row_bytes[r] = (uint16_t)(r == kInputs ? groups * kGroup : 64);
  }
  _tile_loadconfig(&config);
}

// The first group that is not multiplied yet: in the first of the taps left.
struct cursor {
  uint64_t taps;
  size_t group;
};

// Copies `groups` groups of a tap's rows, from `group` on, to `place` of a
// step.
static inline void copy_groups(const struct tile* tile, size_t num_rows,
                               size_t tap, size_t group, size_t groups,
                               size_t place, step_inputs inputs) {
  const size_t first = tap * MR;
  const size_t from = group * kGroup;
  const size_t to = place * kGroup;
  if (groups == kMostGroups) {
    for (size_t m = 0; m < num_rows; m++) {
      _mm512_store_si512(
          inputs[m], _mm512_loadu_si512(live_tap_row(tile, first + m) + from));
    }
  } else if (groups == 1) {
    for (size_t m = 0; m < num_rows; m++) {
      memcpy(inputs[m] + to, live_tap_row(tile, first + m) + from, kGroup);
    }
  } else {
    const __mmask16 mask = (__mmask16)((1u << groups) - 1);
    for (size_t m = 0; m < num_rows; m++) {
      _mm512_mask_storeu_epi32(
          inputs[m] + to, mask,
          _mm512_maskz_loadu_epi32(mask, live_tap_row(tile, first + m) + from));
    }
  }
}

// Puts together the inputs of the next step of `step` groups; returns the place
// of its first group in the weights. Inputs of groups that are dead, or were
// multiplied before, are zero.
static inline size_t gather(const struct tile* tile, size_t num_rows,
                            size_t groups_per_tap, size_t step,
                            struct cursor* cursor, step_inputs inputs) {
  const size_t first =
      (size_t)__builtin_ctzll(cursor->taps) * groups_per_tap + cursor->group;
  const size_t last_start = tile->num_taps * groups_per_tap - step;
  const size_t start = first < last_start ? first : last_start;
  if (cursor->group + kMostGroups > groups_per_tap) {
    for (size_t m = 0; m < num_rows; m++) {
      _mm512_store_si512(inputs[m], _mm512_setzero_si512());
    }
  }
  while (cursor->taps != 0) {
    const size_t tap = (size_t)__builtin_ctzll(cursor->taps);
    const size_t place = tap * groups_per_tap + cursor->group;
    if (place >= start + step) {
      break;
    }
    const size_t rest = groups_per_tap - cursor->group;
    const size_t room = start + step - place;
    const size_t groups = rest < room ? rest : room;
    copy_groups(tile, num_rows, tap, cursor->group, groups, place - start,
                inputs);
    cursor->group += groups;
    if (cursor->group == groups_per_tap) {
      cursor->taps &= cursor->taps - 1;
      cursor->group = 0;
    }
  }
  return start;
}

// Weights of a group: NR channels of four.
static inline void multiply(const step_inputs inputs, const int8_t* weights,
                            size_t num_channels) {
  enum { kStride = NR * kGroup };
  _tile_loadd(kInputs, inputs, sizeof(inputs[0]));
  _tile_loadd(kWeights, weights, kStride);
  _tile_dpbssd(kSums, kInputs, kWeights);
  if (num_channels > 16) {
    _tile_loadd(kWeights + 1, weights + 64, kStride);
    _tile_dpbssd(kSums + 1, kInputs, kWeights + 1);
  }
  if (num_channels > 32) {
    _tile_loadd(kWeights + 2, weights + 128, kStride);
    _tile_dpbssd(kSums + 2, kInputs, kWeights + 2);
  }
  if (num_channels > 48) {
    _tile_loadd(kWeights, weights + 192, kStride);
    _tile_dpbssd(kSums + 3, kInputs, kWeights);
  }
}

// Rounds sums of up to 16 channels, and stores them.
static inline void finish(const struct int8_params* params,
                          const int32_t* start, const float* scale,
                          const int32_t (*sums)[16], size_t num_rows,
                          size_t num_channels, int8_t* output,
                          size_t row_stride) {
  const struct int8_rounding rounding = int8_rounding_of(params);
  const __mmask16 mask =
      num_channels >= 16 ? 0xFFFF : (__mmask16)((1u << num_channels) - 1);
  const __m512i starts = _mm512_load_si512(start);
  const __m512 scales = _mm512_loadu_ps(scale);
  for (size_t m = 0; m < num_rows; m++) {
    const __m512i sum = _mm512_add_epi32(_mm512_load_si512(sums[m]), starts);
    _mm_mask_storeu_epi8(output + m * row_stride, mask,
                         int8_round(rounding, sum, scales));
  }
}

void live_tap_16x64c4_avx512amx(const struct tile* tile, size_t num_rows,
                                size_t num_channels, void* output,
                                size_t row_stride) {
  const size_t groups_per_tap = (tile->row_bytes + kGroup - 1) / kGroup;
  const size_t groups = tile->num_taps * groups_per_tap;
  const size_t step = groups < kMostGroups ? groups : kMostGroups;
  _Alignas(64) step_inputs inputs[kSteps];
  _Alignas(64) int32_t sums[4][MR][16];
  _Alignas(64) int32_t start[NR];
  configure(num_rows, step);
  const int8_t* block = tile->weights;
  for (size_t channel = 0;; channel += NR) {
    const size_t width =
        num_channels - channel < NR ? num_channels - channel : NR;
    const int32_t* bias = (const int32_t*)block;
    const int8_t* weights = block + NR * sizeof(int32_t);
    const float* scale = (const float*)(weights + groups * NR * kGroup);
    _tile_zero(kSums);
    _tile_zero(kSums + 1);
    _tile_zero(kSums + 2);
    _tile_zero(kSums + 3);
    struct cursor cursor = {.taps = tile->live_taps, .group = 0};
    while (cursor.taps != 0) {
      size_t place[kSteps];
      size_t steps = 0;
      for (; steps < kSteps && cursor.taps != 0; steps++) {
        place[steps] = gather(tile, num_rows, groups_per_tap, step, &cursor,
                              inputs[steps]);
      }
      for (size_t s = 0; s < steps; s++) {
        multiply(inputs[s], weights + place[s] * NR * kGroup, width);
      }
    }
    _tile_stored(kSums, sums[0], 64);
    _tile_stored(kSums + 1, sums[1], 64);
    _tile_stored(kSums + 2, sums[2], 64);
    _tile_stored(kSums + 3, sums[3], 64);
    live_tap_start_sums(tile, bias, channel, NR, start);
    for (size_t n = 0; n < width; n += 16) {
      finish(tile->params, start + n, scale + n, sums[n / 16], num_rows,
             width - n, (int8_t*)output + channel + n, row_stride);
    }
    if (channel + NR >= num_channels) {
      _tile_release();
      return;
    }
    block = (const int8_t*)(scale + NR);
  }
}
