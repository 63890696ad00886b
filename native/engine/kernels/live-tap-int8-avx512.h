// How upstream's AVX-512 kernels round sums to 8 bits.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_AVX512_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_AVX512_H_

#include <immintrin.h>

#include "native/engine/kernels/live-tap-int8.h"

struct int8_rounding {
  __m512 most;
  __m512i zero_point;
  __m128i least;
};

static inline struct int8_rounding int8_rounding_of(
    const struct int8_params* params) {
  return (struct int8_rounding){
      .most = _mm512_set1_ps(
          (float)(params->output_max - params->output_zero_point)),
      .zero_point = _mm512_set1_epi32(params->output_zero_point),
      .least = _mm_set1_epi8((char)params->output_min),
  };
}

static inline __m128i int8_round(struct int8_rounding rounding, __m512i sums,
                                 __m512 scales) {
  const __m512 scaled = _mm512_min_ps(
      _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scales), rounding.most);
  const __m512i rounded =
      _mm512_add_epi32(_mm512_cvtps_epi32(scaled), rounding.zero_point);
  return _mm_max_epi8(_mm512_cvtsepi32_epi8(rounded), rounding.least);
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_AVX512_H_
