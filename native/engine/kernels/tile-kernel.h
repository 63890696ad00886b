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
  // Input channels, and taps in the packed weights.
  size_t num_input_channels;
  size_t num_taps;
  // Weights of the first output channel, as upstream packs them.
  const void* weights;
  // Upstream's parameters of the type: a float32's bounds.
  const void* params;
};

// Computes num_rows (at most MR) x num_channels outputs; row_stride is in
// bytes.
typedef void (*tile_kernel_fn)(const struct tile* tile, size_t num_rows,
                               size_t num_channels, void* output,
                               size_t row_stride);

// What upstream's choice of a kernel fixes.
struct tile_format {
  enum { tile_float32, tile_other } type;
  uint32_t mr;
  uint32_t nr;
  uint32_t kr;
  uint32_t sr;
};

struct tile_kernel {
  struct tile_format format;
  enum instruction_set instruction_set;
  tile_kernel_fn run;
};

// The kernels that visit live taps alone, up to one whose `run` is NULL.
extern const struct tile_kernel live_tap_kernels[];

// The kernel of a list for a format on this machine; NULL if there is none.
tile_kernel_fn tile_kernel_find(const struct tile_kernel* kernels,
                                struct tile_format format);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_TILE_KERNEL_H_
