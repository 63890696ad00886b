// Which outputs of a convolution read which rows, for nonzeros that are spread.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZERO_READERS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZERO_READERS_H_

#include <stdbool.h>
#include <stddef.h>

#include "native/engine/row-set.h"
#include "native/engine/shared-table.h"
#include "native/engine/window.h"
#include "native/engine/zero-state.h"
#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-spread.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a table of readers follows from.
struct zero_readers_key {
  struct window window;
  // Rows of the input tensor and of the output; NULL for all.
  const struct row_set* input;
  const struct row_set* output;
  size_t num_rows;
  size_t rows_per_block;
  size_t taps_at_once;
  const struct nonzero_kernels* kernels;
};

struct zero_readers {
  struct shared_table shared;
  struct zero_readers_key key;
  size_t num_blocks;
  struct nonzero_readers* blocks;
};

// Finds the readers of each block of `rows_per_block` rows, in raster order,
// from the operator's window and row plan. Returns false when out of memory.
bool zero_readers_find(struct zero_skipping* skipping);

// Without readers, this does nothing.
void zero_readers_release(struct zero_skipping* skipping);

// Bytes of a runtime's tables of readers.
size_t zero_readers_bytes(const struct shared_tables* tables);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZERO_READERS_H_
