// For each set of 8 channels, as the bits of a byte, its list.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_PLACES_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_PLACES_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct nonzero_places {
  // The places, one byte each, the first in the lowest byte.
  uint64_t places[256];
  uint8_t count[256];
};

extern const struct nonzero_places kNonzeroPlaces;

// Appends the places of the set `nonzero` of the 8 channels from `channel` on
// to a list of `count`; writes 8 bytes. Returns the new count.
static inline size_t append_nonzero8(uint32_t nonzero, size_t channel,
                                     uint8_t* places, size_t count) {
  const uint64_t bytes = kNonzeroPlaces.places[nonzero] +
                         (uint64_t)channel * UINT64_C(0x0101010101010101);
  memcpy(places + count, &bytes, sizeof(bytes));
  return count + kNonzeroPlaces.count[nonzero];
}

// The set of those of fewer than 8 values that are not 0.
static inline uint32_t nonzero_of_few(const float* values, size_t num_values) {
  uint32_t nonzero = 0;
  for (size_t i = 0; i < num_values; i++) {
    nonzero |= (uint32_t)(values[i] != 0.0f) << i;
  }
  return nonzero;
}

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_PLACES_H_
