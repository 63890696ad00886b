// Convolutions that multiply each nonzero activation once for all outputs that
// read it, a block of output rows at a time: for layers of few outputs, where
// a list under one tap has too few products to be worth its walk.
//
// Input pixels are visited in raster order. So an output meets its taps in
// their order, and under each the channels in theirs: it adds what the dense
// kernel adds, in that order. Where the weights of all taps would not stay in
// the first-level cache, pixels are visited once for the first taps, then once
// more for the next.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SPREAD_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SPREAD_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

// Under a tap that is padding or masked.
#define NONZERO_NO_PIXEL UINT32_MAX

// Which outputs read which input rows, of a block of output rows.
struct nonzero_readers {
  size_t num_rows;
  size_t num_sources;
  struct nonzero_source* sources;
  size_t num_readers;
  struct nonzero_reader* readers;
  // Taps that have a pixel, of all rows.
  size_t num_live_taps;
};

// Finds them, of at most NONZERO_SPREAD_MAX_ROWS rows and
// NONZERO_SPREAD_MAX_TAPS taps, from the input pixels under the taps,
// [num_rows][num_taps], which ascend with the taps, and the stored row of each
// pixel (NULL: the same). Returns false when out of memory.
bool nonzero_readers_find(const struct nonzero_gemm* gemm,
                          const uint32_t* pixel_under_tap, size_t num_rows,
                          const uint32_t* row_of_pixel,
                          struct nonzero_readers* readers);

size_t nonzero_readers_bytes(const struct nonzero_readers* readers);

void nonzero_readers_release(struct nonzero_readers* readers);

// Bytes of memory that nonzero_spread_run needs for a block of so many rows.
size_t nonzero_spread_scratch_bytes(const struct nonzero_gemm* gemm,
                                    size_t num_rows);

// Computes `num_outputs` outputs from `output_start`, a multiple of NR, of a
// block of rows that begins with `row_start`. Reads of `input` the stored rows
// alone.
void nonzero_spread_run(const struct nonzero_gemm* gemm,
                        const struct nonzero_readers* readers,
                        const struct nonzero_input* input,
                        const struct nonzero_output* output, size_t row_start,
                        size_t output_start, size_t num_outputs, void* scratch);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_SPREAD_H_
