// Which input rows the windows of an operator read: the pointers that
// micro-kernels follow, and the taps that read anything.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TABLE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TABLE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-set.h"
#include "native/engine/shared-table.h"
#include "native/engine/window.h"
#include "xnnpack/common.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a table follows from.
struct window_table_key {
  struct window window;
  // Rows of the input tensor and of the output; NULL for all.
  const struct row_set* input;
  const struct row_set* output;
  // Of the input.
  size_t row_bytes;
  uint8_t zero;
  // Rows of a tile of a GEMM kernel, or 0 for depthwise and pooling kernels.
  size_t tile_rows;
  // Pointers that kernels read, but do not follow, past a window's end.
  size_t slack;
  bool has_live_taps;
};

// A pointer leads to the row under a tap of an input that begins at
// window_table_base, or is `zero_row` where that is padding or masked.
//
// For GEMM kernels: for each tile of rows and each tap, `tile_rows` pointers. A
// last tile that is not full repeats its last row. Windows that read the pixel
// which they write have no pointers, since finding them again costs next to
// nothing: see window_table_point. For other kernels, as upstream has
// them: of all output pixels, masked ones too, line by line, the windows in
// column order; neighbouring windows share columns.
struct window_table {
  struct shared_table shared;
  struct window_table_key key;
  const void** pointers;
  size_t num_pointers;
  // From one pixel of a line to the next, and from line to line.
  size_t pixel_pointers;
  size_t line_pointers;
  void* zero_row;
  // Of each tile, if the key asks for them.
  uint64_t* live_taps;
  size_t bytes;
};

// The table of a key, of which the caller becomes a user. Returns NULL when out
// of memory.
struct window_table* window_table_get(struct shared_tables* tables,
                                      const struct window_table_key* key);

// An address that is no row of zeros, as upstream's kernels want pointers to
// be.
static inline const void* window_table_base(const struct window_table* table) {
  return (const void*)((uintptr_t)table->zero_row + XNN_ALLOCATION_ALIGNMENT);
}

// Writes the pointers of windows without pointers, for GEMM kernels: of rows
// with these pixels, the first of which begins a tile; the last tile is filled
// up.
void window_table_point(const struct window_table* table,
                        const uint32_t* pixels, size_t num_rows,
                        const void** pointers);

// The pointers of the window of the output pixel (y, x); not for GEMM kernels.
static inline const void** window_table_pointers(
    const struct window_table* table, size_t y, size_t x) {
  return table->pointers + y * table->line_pointers + x * table->pixel_pointers;
}

// Bytes that the tables of a runtime take beyond the buffers that upstream has
// for the same windows over dense tensors.
size_t window_tables_extra_bytes(const struct shared_tables* tables);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TABLE_H_
