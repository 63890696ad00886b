// How upstream's NEON kernels for Armv8 round sums to 8 bits.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_NEON_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_NEON_H_

#include <arm_neon.h>

#include "native/engine/kernels/live-tap-int8.h"

// Upstream's parameters.
struct int8_params_neon {
  int16_t output_zero_point;
  int8_t output_min;
  int8_t output_max;
};

// Rounds eight channels.
static inline int8x8_t int8_round_neon(const struct int8_params_neon* params,
                                       int32x4_t low, int32x4_t high,
                                       const int32_t* start,
                                       const float* scales) {
  low = vcvtnq_s32_f32(vmulq_f32(
      vcvtq_f32_s32(vaddq_s32(low, vld1q_s32(start))), vld1q_f32(scales)));
  high = vcvtnq_s32_f32(
      vmulq_f32(vcvtq_f32_s32(vaddq_s32(high, vld1q_s32(start + 4))),
                vld1q_f32(scales + 4)));
  const int16x8_t words =
      vqaddq_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high)),
                 vdupq_n_s16(params->output_zero_point));
  return vmin_s8(vmax_s8(vqmovn_s16(words), vdup_n_s8(params->output_min)),
                 vdup_n_s8(params->output_max));
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_NEON_H_
