#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/live-tap-int8-neon.h"
#include "native/engine/kernels/live-tap.h"

#define KERNEL live_tap_4x16c4_neondot
#define MR 4
#define NR 16
#define KR 4

// Four channels of four bytes.
enum { NUM_VECTORS = 4 };
typedef int8x16_t group_inputs;
typedef int8x16_t group_weights;
typedef int32x4_t partial_sums;

static inline group_inputs load_inputs(const int8_t* row) {
  int32_t group;
  __builtin_memcpy(&group, row, sizeof(group));
  return vreinterpretq_s8_s32(vdupq_n_s32(group));
}

static inline group_weights load_weights(const int8_t* weights, size_t v) {
  return vld1q_s8(weights + v * 16);
}

static inline partial_sums multiply_add(partial_sums sums, group_inputs inputs,
                                        group_weights weights) {
  return vdotq_s32(sums, inputs, weights);
}

static inline void finish(const struct tile* tile,
                          const partial_sums sums[NUM_VECTORS],
                          const int32_t* start, const float* scales,
                          int8_t* row) {
  for (size_t v = 0; v < NUM_VECTORS; v += 2) {
    vst1_s8(row + v * 4, int8_round_neon(tile->params, sums[v], sums[v + 1],
                                         start + v * 4, scales + v * 4));
  }
}

#include "native/engine/kernels/live-tap-int8.inc"
