// Which outputs of a convolution read which rows, for nonzeros that are spread.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZERO_READERS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZERO_READERS_H_

#include <stdbool.h>

#include "native/engine/zero-state.h"

#ifdef __cplusplus
extern "C" {
#endif

// Finds the readers of each block of `rows_per_block` rows, from the operator's
// window and row plan. Returns false when out of memory.
bool zero_readers_find(struct zero_skipping* skipping);

// Without readers, this does nothing.
void zero_readers_release(struct zero_skipping* skipping);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZERO_READERS_H_
