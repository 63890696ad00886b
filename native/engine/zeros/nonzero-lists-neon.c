#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-lists.h"
#include "native/engine/zeros/nonzero-places.h"

// Of four values those bits that are given for values that are not 0.
static inline uint32x4_t nonzero4(const float* values, uint32x4_t bits) {
  return vbicq_u32(bits, vceqzq_f32(vld1q_f32(values)));
}

// The set of 16 values that are not 0.
static inline uint32_t nonzero16(const float* values) {
  static const uint32_t kBits[4] = {1, 2, 4, 8};
  const uint32x4_t bits = vld1q_u32(kBits);
  const uint32x4_t low = vorrq_u32(nonzero4(values, bits),
                                   nonzero4(values + 4, vshlq_n_u32(bits, 4)));
  const uint32x4_t high =
      vorrq_u32(nonzero4(values + 8, vshlq_n_u32(bits, 8)),
                nonzero4(values + 12, vshlq_n_u32(bits, 12)));
  return vaddvq_u32(vorrq_u32(low, high));
}

size_t nonzero_list_neon(const float* values, size_t num_channels,
                         uint8_t* places) {
  size_t count = 0;
  size_t c = 0;
  for (; c + 16 <= num_channels; c += 16) {
    const uint32_t nonzero = nonzero16(values + c);
    count = append_nonzero8(nonzero & 0xFF, c, places, count);
    count = append_nonzero8(nonzero >> 8, c + 8, places, count);
  }
  for (; c < num_channels; c += 8) {
    const size_t rest = num_channels - c < 8 ? num_channels - c : 8;
    count = append_nonzero8(nonzero_of_few(values + c, rest), c, places, count);
  }
  return count;
}
