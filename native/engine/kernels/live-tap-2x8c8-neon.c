// 8 bits without dot products: two groups of eight channels are added in 16
// bits first, as upstream adds them, which wraps if all of four factors are
// -128.

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/kernels/live-tap-int8-neon.h"
#include "native/engine/kernels/live-tap.h"

#define UNROLL _Pragma("clang loop unroll(full)")

enum { MR = 2, NR = 8, KR = 8 };

static inline void multiply_tap(const struct tile* tile, size_t tap, size_t kc,
                                const int8_t* w, int32x4_t sum[MR][NR]) {
  const int8_t* a[MR];
  UNROLL for (size_t m = 0; m < MR; m++) {
    a[m] = live_tap_row(tile, tap * MR + m);
  }
  size_t k = 0;
  for (; k + 2 * KR <= kc; k += 2 * KR) {
    int8x16_t inputs[MR];
    UNROLL for (size_t m = 0; m < MR; m++) { inputs[m] = vld1q_s8(a[m] + k); }
    UNROLL for (size_t n = 0; n < NR; n++) {
      const int8x8_t low = vld1_s8(w + n * KR);
      const int8x8_t high = vld1_s8(w + (NR + n) * KR);
      UNROLL for (size_t m = 0; m < MR; m++) {
        const int16x8_t products =
            vmlal_s8(vmull_s8(low, vget_low_s8(inputs[m])), high,
                     vget_high_s8(inputs[m]));
        sum[m][n] = vpadalq_s16(sum[m][n], products);
      }
    }
    w += 2 * NR * KR;
  }
  if (k < kc) {
    int8x8_t inputs[MR];
    UNROLL for (size_t m = 0; m < MR; m++) { inputs[m] = vld1_s8(a[m] + k); }
    UNROLL for (size_t n = 0; n < NR; n++) {
      const int8x8_t b = vld1_s8(w + n * KR);
      UNROLL for (size_t m = 0; m < MR; m++) {
        sum[m][n] = vpadalq_s16(sum[m][n], vmull_s8(b, inputs[m]));
      }
    }
  }
}

static inline int32x4_t add_columns(const int32x4_t sums[4]) {
  return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
}

void live_tap_2x8c8_neon(const struct tile* tile, size_t num_rows,
                         size_t num_channels, void* output, size_t row_stride) {
  const size_t kc = (tile->row_bytes + KR - 1) / KR * KR;
  const int8_t* block = tile->weights;
  for (size_t channel = 0; channel < num_channels; channel += NR) {
    int32x4_t sum[MR][NR];
    UNROLL for (size_t m = 0; m < MR; m++) {
      UNROLL for (size_t n = 0; n < NR; n++) { sum[m][n] = vdupq_n_s32(0); }
    }
    const int8_t* weights = block + NR * sizeof(int32_t);
    for (uint64_t live = tile->live_taps; live != 0; live &= live - 1) {
      const size_t tap = (size_t)__builtin_ctzll(live);
      multiply_tap(tile, tap, kc, weights + tap * kc * NR, sum);
    }
    int32_t start[NR];
    live_tap_start_sums(tile, (const int32_t*)block, channel, NR, start);
    const float* scales = (const float*)(weights + tile->num_taps * kc * NR);
    const size_t rest = num_channels - channel;
    UNROLL for (size_t m = 0; m < MR; m++) {
      if (m < num_rows) {
        int8_t row[NR];
        vst1_s8(row, int8_round_neon(tile->params, add_columns(sum[m]),
                                     add_columns(sum[m] + 4), start, scales));
        memcpy((int8_t*)output + m * row_stride + channel, row,
               rest < NR ? rest : NR);
      }
    }
    block = (const int8_t*)(scales + NR);
  }
}
