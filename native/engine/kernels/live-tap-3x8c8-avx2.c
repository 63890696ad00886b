#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/live-tap-int8.h"
#include "native/engine/kernels/live-tap.h"

#define KERNEL live_tap_3x8c8_avx2
#define MR 3
#define NR 8
#define KR 8

// Two channels of eight words; sums of two.
enum { NUM_VECTORS = 4 };
typedef __m256i group_inputs;
typedef __m256i group_weights;
typedef __m256i partial_sums;

static inline group_inputs load_inputs(const int8_t* row) {
  return _mm256_cvtepi8_epi16(
      _mm_broadcastq_epi64(_mm_loadl_epi64((const __m128i*)row)));
}

static inline group_weights load_weights(const int8_t* weights, size_t v) {
  return _mm256_cvtepi8_epi16(
      _mm_loadu_si128((const __m128i*)(weights + v * 16)));
}

static inline partial_sums multiply_add(partial_sums sums, group_inputs inputs,
                                        group_weights weights) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(inputs, weights));
}

// Rounds as upstream does.
static inline void finish(const struct tile* tile,
                          const partial_sums sums[NUM_VECTORS],
                          const int32_t* start, const float* scales,
                          int8_t* row) {
  const struct int8_params* params = tile->params;
  // Channels 0, 2, 4, 6, then 1, 3, 5, 7.
  const __m256i by_parity = _mm256_hadd_epi32(
      _mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  const __m256i sum = _mm256_add_epi32(
      _mm256_permutevar8x32_epi32(by_parity,
                                  _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)),
      _mm256_loadu_si256((const __m256i*)start));
  const __m256 most =
      _mm256_set1_ps((float)(params->output_max - params->output_zero_point));
  const __m256i rounded = _mm256_cvtps_epi32(_mm256_min_ps(
      _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scales)), most));
  const __m128i words =
      _mm_adds_epi16(_mm_packs_epi32(_mm256_castsi256_si128(rounded),
                                     _mm256_extracti128_si256(rounded, 1)),
                     _mm_set1_epi16(params->output_zero_point));
  _mm_storel_epi64((__m128i*)row,
                   _mm_max_epi8(_mm_packs_epi16(words, words),
                                _mm_set1_epi8((char)params->output_min)));
}

#include "native/engine/kernels/live-tap-int8.inc"
