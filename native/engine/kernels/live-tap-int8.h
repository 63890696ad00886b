// What kernels for 8 bits have in common: signed activations and weights with
// a scale for each output channel.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_H_

#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/tile-kernel.h"

// Upstream's parameters on x86-64.
struct int8_params {
  int16_t output_zero_point;
  int16_t output_min;
  int16_t output_max;
};

// What the sums of `num_channels` channels start from: the packed bias has the
// zero point taken off for all taps, of which dead ones add it back.
static inline void live_tap_start_sums(const struct tile* tile,
                                       const int32_t* bias, size_t channel,
                                       size_t num_channels, int32_t* sums) {
  for (size_t n = 0; n < num_channels; n++) {
    sums[n] = bias[n];
  }
  const uint64_t all =
      tile->num_taps < 64 ? (UINT64_C(1) << tile->num_taps) - 1 : ~UINT64_C(0);
  for (uint64_t dead = all & ~tile->live_taps; dead != 0; dead &= dead - 1) {
    const int32_t* zeros =
        tile->zero_sums +
        (size_t)__builtin_ctzll(dead) * tile->zero_sums_stride + channel;
    for (size_t n = 0; n < num_channels; n++) {
      // Wraps, as the sums of vectors do.
      sums[n] = (int32_t)((uint32_t)sums[n] + (uint32_t)zeros[n]);
    }
  }
}

static inline const int8_t* live_tap_row(const struct tile* tile,
                                         size_t index) {
  const void* row = tile->pointers[index];
  return row == tile->zero ? row
                           : (const void*)((uintptr_t)row + tile->input_offset);
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_INT8_H_
