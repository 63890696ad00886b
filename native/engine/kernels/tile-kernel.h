// Kernels of ours for one tile of a convolution: by type, by the tile and the
// packing of weights that upstream has chosen, and by instruction set.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_TILE_KERNEL_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_TILE_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/instruction-set.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tile {
  // Bit t is set if tap t is live; taps from 64 on do not exist.
  uint64_t live_taps;
  // [taps][MR] input rows, relative to `input_offset` unless they are `zero`.
  const void** pointers;
  const void* zero;
  size_t input_offset;
  // Bytes of an input row, and taps in the packed weights.
  size_t row_bytes;
  size_t num_taps;
  // Weights of the first output channel, as upstream packs them.
  const void* weights;
  // Upstream's parameters of the type: a float32's bounds.
  const void* params;
  // In 8 bits, where upstream takes the zero point off in the bias: what a row
  // of zeros adds to the sums of the first output channel, and of those that
  // follow, as far as a kernel's last block reaches. `zero_sums_stride` from
  // tap to tap. NULL if no tap is dead.
  const int32_t* zero_sums;
  size_t zero_sums_stride;
};

// Computes num_rows (at most MR) x num_channels outputs; row_stride is in
// bytes.
typedef void (*tile_kernel_fn)(const struct tile* tile, size_t num_rows,
                               size_t num_channels, void* output,
                               size_t row_stride);

// What upstream's choice of a kernel fixes.
struct tile_format {
  enum { tile_float32, tile_int8, tile_other } type;
  uint32_t mr;
  uint32_t nr;
  uint32_t kr;
  uint32_t sr;
};

struct tile_kernel {
  struct tile_format format;
  enum instruction_set instruction_set;
  tile_kernel_fn run;
  // Bytes of input rows that are multiplied in one step, of one tap or of
  // several that follow one another; 0 if each tap has steps of its own.
  uint32_t step_bytes;
  // What is added to inputs in 8 bits before they are multiplied.
  int32_t input_offset;
};

// The kernels that visit live taps alone, up to one whose `run` is NULL.
extern const struct tile_kernel live_tap_kernels[];

// The kernel of a list for a format on this machine; NULL if there is none. Of
// those that share a format it is the first: upstream packs for the newest
// instruction set.
const struct tile_kernel* tile_kernel_find(const struct tile_kernel* kernels,
                                           struct tile_format format);

// How much of what upstream's kernel multiplies a kernel multiplies for a tile:
// live taps, or steps, over all.
double tile_kernel_share(const struct tile_kernel* kernel, uint64_t live_taps,
                         size_t num_taps, size_t row_bytes);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_TILE_KERNEL_H_
