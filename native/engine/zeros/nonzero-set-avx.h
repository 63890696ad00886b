// Which of some values are not 0, as the bits of a word.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_AVX_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_AVX_H_

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-places.h"

static inline uint32_t nonzero_set8(const float* values) {
  return (uint32_t)_mm256_movemask_ps(
      _mm256_cmp_ps(_mm256_loadu_ps(values), _mm256_setzero_ps(), _CMP_NEQ_UQ));
}

// Of at most 64 values.
static inline uint64_t nonzero_set(const float* values, size_t count) {
  uint64_t set = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    set |= (uint64_t)nonzero_set8(values + i) << i;
  }
  return i == count
             ? set
             : set | (uint64_t)nonzero_of_few(values + i, count - i) << i;
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_AVX_H_
