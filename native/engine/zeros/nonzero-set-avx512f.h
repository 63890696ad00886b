// Which of some values are not 0, as the bits of a word.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_AVX512F_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_AVX512F_H_

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t nonzero_set16(const float* values, __mmask16 exist) {
  const __m512 x = _mm512_maskz_loadu_ps(exist, values);
  return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
}

// Of at most 64 values.
static inline uint64_t nonzero_set(const float* values, size_t count) {
  const uint64_t exist = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
  uint64_t set = nonzero_set16(values, (__mmask16)exist);
  for (size_t i = 16; i < count; i += 16) {
    set |= nonzero_set16(values + i, (__mmask16)(exist >> i)) << i;
  }
  return set;
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_AVX512F_H_
