// What rows of zeros add to sums in 8 bits. Upstream takes the zero point's
// share of all taps off in the packed bias; kernels that leave taps out need it
// tap by tap.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_ZERO_SUMS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_ZERO_SUMS_H_

#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/tile-kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

// Packed weights of one group, of a format with a bias and a scale for each
// output channel.
struct packed_int8 {
  const void* weights;
  size_t num_taps;
  size_t row_bytes;
  size_t num_channels;
};

// Channels of one tap's sums: as far as the last block reaches.
size_t zero_sums_stride(const struct tile_format* format, size_t num_channels);

// Writes [taps][stride] sums of an input of `zero` in all channels.
void zero_sums_write(const struct tile_format* format,
                     const struct packed_int8* packed, int32_t zero,
                     int32_t* sums);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_ZERO_SUMS_H_
