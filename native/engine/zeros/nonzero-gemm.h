// Kernels that multiply only nonzero activations.
//
// They read weights as upstream packs them for NR outputs, and add products in
// the order of upstream's kernels, with the same fused operations: with finite
// weights, sums are equal to upstream's.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_GEMM_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_GEMM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A block of channels of one input row, and the sums that it goes into.
struct nonzero_visit {
  const float* values;
  // Its list.
  const uint8_t* places;
  uint32_t count;
  // Row of the sums.
  uint32_t row;
};

// Adds the products of one tap and block of channels to the sums of many rows,
// one row after the other: the weights stay in the first-level cache meanwhile.
// Distances are in floats.
struct nonzero_pass {
  const struct nonzero_visit* visits;
  size_t num_visits;
  // Of the block's first channel and the first output; the next NR outputs'
  // are `weight_stride` further.
  const float* weights;
  size_t weight_stride;
  // What is added to: of a row `from_row` apart, of NR outputs `from_stride`.
  const float* from;
  size_t from_row;
  size_t from_stride;
  // Where sums go: rows of all outputs of the pass, `sums_row` apart.
  float* sums;
  size_t sums_row;
  // What the next block of rows reads is fetched meanwhile: `fetch_lines` cache
  // lines, `fetch_ahead` from each visit's values.
  size_t fetch_ahead;
  size_t fetch_lines;
};

typedef void (*nonzero_pass_fn)(const struct nonzero_pass* pass);

// Most output rows and taps of a block whose nonzeros are spread: so that the
// tables of who reads what, which are read once in an inference, are small.
#define NONZERO_SPREAD_MAX_ROWS 1024
#define NONZERO_SPREAD_MAX_TAPS 64

// An output row that reads an input row: how many rows from the source's first,
// and under which tap.
struct __attribute__((packed)) nonzero_reader {
  uint16_t row;
  uint8_t tap;
};

// An input row and `count` outputs that read it, at most max_readers. Their
// rows are counted from `sums_row`.
struct __attribute__((packed)) nonzero_source {
  uint32_t row;
  uint16_t first_reader;
  uint16_t sums_row;
  uint8_t count;
};

// Computes NR sums of some output rows: bias, and the products of all nonzero
// activations of the rows that they read.
struct nonzero_spread {
  size_t num_rows;
  const struct nonzero_source* sources;
  size_t num_sources;
  const struct nonzero_reader* readers;
  const void* rows;
  size_t row_bytes;
  size_t num_channels;
  const float* bias;
  // Of the first tap and channel, and floats from one tap to the next.
  const float* weights;
  size_t tap_stride;
  float* sums;
};

typedef void (*nonzero_spread_fn)(const struct nonzero_spread* spread);

// Clamped sums of rows.
struct nonzero_clamping {
  const float* sums;
  size_t sums_row;
  size_t num_rows;
  // Of each row.
  size_t count;
  float min;
  float max;
  // Output row r is `row_bytes` times places[r] (NULL: r) further.
  float* output;
  size_t row_bytes;
  const uint32_t* places;
};

typedef void (*nonzero_clamp_fn)(const struct nonzero_clamping* clamping);

#define NONZERO_MAX_BLOCKS 8

struct nonzero_kernels {
  // Outputs of a block of packed weights, and whether layers of more outputs
  // have larger blocks.
  size_t nr;
  bool is_narrow;
  // Most blocks of NR outputs that one pass takes, and the kernels for 1 to so
  // many.
  size_t max_blocks;
  nonzero_pass_fn pass[NONZERO_MAX_BLOCKS];
  // Most readers that `spread` takes at once.
  size_t max_readers;
  nonzero_spread_fn spread;
  nonzero_clamp_fn clamp;
};

extern const struct nonzero_kernels kNonzeroAvx512fx32;
extern const struct nonzero_kernels kNonzeroAvx512fx16;
extern const struct nonzero_kernels kNonzeroFma3x16;
extern const struct nonzero_kernels kNonzeroNeonx8;

// The kernels of this machine for weights packed for `nr` outputs; NULL if
// there are none.
const struct nonzero_kernels* nonzero_kernels_for(size_t nr);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZEROS_NONZERO_GEMM_H_
