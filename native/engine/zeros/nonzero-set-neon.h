// Which of some values are not 0, as the bits of a word.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_NEON_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_NEON_H_

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-places.h"

// Of four values those bits that are given for values that are not 0.
static inline uint32x4_t nonzero_bits4(const float* values, uint32x4_t bits) {
  return vbicq_u32(bits, vceqzq_f32(vld1q_f32(values)));
}

static inline uint32_t nonzero_set16(const float* values) {
  static const uint32_t kBits[4] = {1, 2, 4, 8};
  const uint32x4_t bits = vld1q_u32(kBits);
  const uint32x4_t low =
      vorrq_u32(nonzero_bits4(values, bits),
                nonzero_bits4(values + 4, vshlq_n_u32(bits, 4)));
  const uint32x4_t high =
      vorrq_u32(nonzero_bits4(values + 8, vshlq_n_u32(bits, 8)),
                nonzero_bits4(values + 12, vshlq_n_u32(bits, 12)));
  return vaddvq_u32(vorrq_u32(low, high));
}

// Of at most 64 values.
static inline uint64_t nonzero_set(const float* values, size_t count) {
  uint64_t set = 0;
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    set |= (uint64_t)nonzero_set16(values + i) << i;
  }
  for (; i < count; i += 8) {
    const size_t rest = count - i < 8 ? count - i : 8;
    set |= (uint64_t)nonzero_of_few(values + i, rest) << i;
  }
  return set;
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SET_NEON_H_
