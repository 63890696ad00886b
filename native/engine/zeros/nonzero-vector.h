// Vectors of LANES floats, and what all kernels of an instruction set share.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_VECTOR_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_VECTOR_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"

typedef float VECTOR
    __attribute__((ext_vector_type(LANES), aligned(sizeof(float))));

#define EACH(i, count) \
  _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++)

// NaN stays NaN, as in upstream's kernels.
static inline VECTOR clamp(VECTOR x, float min, float max) {
  const VECTOR low = min;
  const VECTOR high = max;
  x = x < low ? low : x;
  return x > high ? high : x;
}

static inline void clamp_row(const float* sums, size_t count, float min,
                             float max, float* output) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    *(VECTOR*)(output + i) = clamp(*(const VECTOR*)(sums + i), min, max);
  }
  if (i != count) {
    // Sums go on to the end of a block; outputs do not.
    const VECTOR last = clamp(*(const VECTOR*)(sums + i), min, max);
    memcpy(output + i, &last, (count - i) * sizeof(float));
  }
}

static void clamp_sums(const struct nonzero_clamping* clamping) {
  for (size_t r = 0; r < clamping->num_rows; r++) {
    const size_t place = clamping->places == NULL ? r : clamping->places[r];
    clamp_row(
        clamping->sums + r * clamping->sums_row, clamping->count, clamping->min,
        clamping->max,
        (float*)((uintptr_t)clamping->output + place * clamping->row_bytes));
  }
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_VECTOR_H_
