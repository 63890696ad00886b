#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-lists.h"
#include "native/engine/zeros/nonzero-places.h"
#include "native/engine/zeros/nonzero-set-avx.h"

size_t nonzero_list_avx2(const float* values, size_t num_channels,
                         uint8_t* places) {
  size_t count = 0;
  size_t c = 0;
  for (; c + 8 <= num_channels; c += 8) {
    count = append_nonzero8(nonzero_set8(values + c), c, places, count);
  }
  return c == num_channels
             ? count
             : append_nonzero8(nonzero_of_few(values + c, num_channels - c), c,
                               places, count);
}
