#include "native/engine/kernels/zero-sums.h"

#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/tile-kernel.h"

size_t zero_sums_stride(const struct tile_format* format, size_t num_channels) {
  return (num_channels + format->nr - 1) / format->nr * format->nr;
}

void zero_sums_write(const struct tile_format* format,
                     const struct packed_int8* packed, int32_t zero,
                     int32_t* sums) {
  const size_t nr = format->nr;
  const size_t kr = format->kr;
  const size_t multiple = kr * format->sr;
  const size_t groups =
      (packed->row_bytes + multiple - 1) / multiple * format->sr;
  const size_t stride = zero_sums_stride(format, packed->num_channels);
  const int8_t* weights = packed->weights;
  for (size_t channel = 0; channel < stride; channel += nr) {
    weights += nr * sizeof(int32_t);
    for (size_t tap = 0; tap < packed->num_taps; tap++) {
      int32_t* tap_sums = sums + tap * stride + channel;
      for (size_t n = 0; n < nr; n++) {
        tap_sums[n] = 0;
      }
      // Weights past the last input channel are zero; those of channels past
      // the last one may be anything, and are not used.
      for (size_t group = 0; group < groups; group++) {
        for (size_t n = 0; n < nr; n++) {
          for (size_t k = 0; k < kr; k++) {
            tap_sums[n] += *weights++;
          }
        }
      }
      for (size_t n = 0; n < nr; n++) {
        tap_sums[n] *= zero;
      }
    }
    weights += nr * sizeof(float);
  }
}
