// Lists of nonzero activations.
//
// A row (all channels of one pixel) is cut into blocks of channels; the list of
// a block has, in ascending order, one byte for each channel that is not 0: its
// place in the block. NaN is not 0; -0 is.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_LISTS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_LISTS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Channels of a block are places of one byte.
#define NONZERO_LIST_MAX_CHANNELS 256

// Lists `num_channels` (1 to NONZERO_LIST_MAX_CHANNELS) values and returns how
// many are not 0. May write round_up(num_channels, 8) bytes of `places`.
typedef size_t (*nonzero_list_fn)(const float* values, size_t num_channels,
                                  uint8_t* places);

size_t nonzero_list_avx512vbmi2(const float* values, size_t num_channels,
                                uint8_t* places);
size_t nonzero_list_avx2(const float* values, size_t num_channels,
                         uint8_t* places);
size_t nonzero_list_neon(const float* values, size_t num_channels,
                         uint8_t* places);

// The function of this machine; NULL if there is none.
nonzero_list_fn nonzero_list_for_this_machine(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_LISTS_H_
