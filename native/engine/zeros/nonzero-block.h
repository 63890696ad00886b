// Convolutions and matrix products that multiply only nonzero activations: a
// block of rows at a time.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_BLOCK_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_BLOCK_H_

#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-lists.h"

#ifdef __cplusplus
extern "C" {
#endif

// Most sums of an output: see nonzero_gemm.
#define NONZERO_MAX_SUMS 4

// A row's count has 16 bits.
#define NONZERO_MAX_CHANNELS UINT16_MAX

// One group of a convolution, or a matrix product.
struct nonzero_gemm {
  const struct nonzero_kernels* kernels;
  nonzero_list_fn list;
  size_t num_taps;
  // At most NONZERO_MAX_CHANNELS.
  size_t num_channels;
  size_t num_outputs;
  // As upstream packs them: for each NR outputs, bias[NR], then for each tap
  // and channel NR weights.
  const float* weights;
  float min;
  float max;
  // Sums of each output, a power of two. Products of one row have several if
  // upstream's kernel for one row does: channel c of a tap goes into sum
  // c % num_sums, the first of which starts from the bias. At the end the upper
  // half is added to the lower one, until one is left.
  size_t num_sums;

  // Set by nonzero_gemm_lay_out: channels of a list, lists of a row, and
  // their bytes; first come `counts_bytes` of counts.
  size_t list_channels;
  size_t num_lists;
  size_t counts_bytes;
  size_t lists_bytes;
  // Of products that are spread: taps whose weights for NR outputs pass
  // together.
  size_t taps_at_once;
};

// The input rows of a product.
struct nonzero_input {
  // Row 0 of the stored rows, from this group's first channel on, and the bytes
  // from row to row.
  const void* rows;
  size_t row_bytes;
  // Where the row under a tap of an output row lies: upstream's indirection
  // buffer, [tile][tap][tile_rows], of pointers that are `zero`, or lie
  // `offset` bytes before the row. NULL: output row r reads stored row r.
  const void* const* pointers;
  size_t tile_rows;
  const void* zero;
  size_t offset;
  // Lists of the stored rows, `lists_stride` bytes apart. Of products of one
  // tap they are made on the way.
  const uint8_t* lists;
  size_t lists_stride;
};

// Where the output rows go.
struct nonzero_output {
  // Row 0, from this group's first output on.
  float* rows;
  size_t row_bytes;
  // The stored row of each of the rows that are computed; NULL: the same.
  const uint32_t* places;
};

// Chooses how long lists are, for products of `num_rows` rows, and how many
// taps are spread to at once: so that the weights that pass together stay in a
// first-level cache of so many bytes.
void nonzero_gemm_lay_out(struct nonzero_gemm* gemm, size_t num_rows,
                          size_t cache_bytes);

// Makes the lists of a row from its channels: counts, of each list and of all,
// then the lists, in gemm->lists_bytes.
void nonzero_lists_make(const struct nonzero_gemm* gemm, const float* channels,
                        uint8_t* lists);

// Bytes of memory that nonzero_block_run needs for so many rows and outputs.
size_t nonzero_block_scratch_bytes(const struct nonzero_gemm* gemm,
                                   size_t num_rows, size_t num_outputs);

// What a block has to do, counted or, for windows, estimated from some rows.
struct nonzero_block_work {
  size_t num_visits;
  size_t num_nonzeros;
};

// What `num_rows` rows from `row_start` on have to do. Of products of one tap
// this makes the lists, and `scratch` keeps them for nonzero_block_run.
struct nonzero_block_work nonzero_block_look(const struct nonzero_gemm* gemm,
                                             const struct nonzero_input* input,
                                             size_t row_start, size_t num_rows,
                                             void* scratch);

// Computes `num_outputs` outputs from `output_start`, a multiple of NR, of
// these rows: of one row, if outputs have several sums.
void nonzero_block_run(const struct nonzero_gemm* gemm,
                       const struct nonzero_input* input,
                       const struct nonzero_output* output, size_t row_start,
                       size_t num_rows, size_t output_start, size_t num_outputs,
                       void* scratch);

// Clamps the sums of these rows and outputs, `sums_row` floats from row to row,
// and puts them where they belong.
void nonzero_write(const struct nonzero_gemm* gemm, const float* sums,
                   size_t sums_row, const struct nonzero_output* output,
                   size_t row_start, size_t num_rows, size_t output_start,
                   size_t num_outputs);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_BLOCK_H_
