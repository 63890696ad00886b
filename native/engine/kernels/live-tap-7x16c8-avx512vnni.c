#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/live-tap-int8-avx512.h"
#include "native/engine/kernels/live-tap.h"

#define KERNEL live_tap_7x16c8_avx512vnni
#define MR 7
#define NR 16
#define KR 8

// Eight channels of eight bytes; sums of four.
enum { NUM_VECTORS = 2 };
typedef __m512i group_inputs;
typedef __m512i group_weights;
typedef __m512i partial_sums;

// One factor of the instruction is unsigned: inputs are 128 larger.
static inline group_inputs load_inputs(const int8_t* row) {
  int64_t group;
  __builtin_memcpy(&group, row, sizeof(group));
  return _mm512_xor_si512(_mm512_set1_epi64(group),
                          _mm512_set1_epi8((char)0x80));
}

static inline group_weights load_weights(const int8_t* weights, size_t v) {
  return _mm512_loadu_si512(weights + v * 64);
}

static inline partial_sums multiply_add(partial_sums sums, group_inputs inputs,
                                        group_weights weights) {
  return _mm512_dpbusd_epi32(sums, inputs, weights);
}

static inline void finish(const struct tile* tile,
                          const partial_sums sums[NUM_VECTORS],
                          const int32_t* start, const float* scales,
                          int8_t* row) {
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12,
                                        10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const __m512i sum =
      _mm512_add_epi32(_mm512_permutex2var_epi32(sums[0], even, sums[1]),
                       _mm512_permutex2var_epi32(sums[0], odd, sums[1]));
  _mm_storeu_si128((__m128i*)row,
                   int8_round(int8_rounding_of(tile->params),
                              _mm512_add_epi32(sum, _mm512_loadu_si512(start)),
                              _mm512_loadu_ps(scales)));
}

#include "native/engine/kernels/live-tap-int8.inc"
