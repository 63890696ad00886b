#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-lists.h"
#include "native/engine/zeros/nonzero-places.h"
#include "native/engine/zeros/nonzero-set-neon.h"

size_t nonzero_list_neon(const float* values, size_t num_channels,
                         uint8_t* places) {
  size_t count = 0;
  size_t c = 0;
  for (; c + 16 <= num_channels; c += 16) {
    const uint32_t nonzero = nonzero_set16(values + c);
    count = append_nonzero8(nonzero & 0xFF, c, places, count);
    count = append_nonzero8(nonzero >> 8, c + 8, places, count);
  }
  for (; c < num_channels; c += 8) {
    const size_t rest = num_channels - c < 8 ? num_channels - c : 8;
    count = append_nonzero8(nonzero_of_few(values + c, rest), c, places, count);
  }
  return count;
}
