// Indirect GEMM that skips taps.
//
// Where a convolution's input is masked too, many taps of a tile of output rows
// read nothing but zeros: they are dead, and adding their products changes no
// bit of the sum. These kernels visit the live taps alone. Upstream's kernels
// cannot, since their weights follow one another from tap to tap.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_IGEMM_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_IGEMM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct live_tap_tile {
  // Bit t is set if tap t is live; taps from 64 on do not exist.
  uint64_t live_taps;
  // [taps][MR] input rows, relative to `input_offset` unless they are `zero`.
  const void** pointers;
  const void* zero;
  size_t input_offset;
  // Input channels, and taps in the packed weights.
  size_t num_input_channels;
  size_t num_taps;
  // Weights of the first output channel, packed as upstream packs them for NR
  // channels: bias[NR], then for each tap and input channel NR weights.
  const float* weights;
  float min;
  float max;
};

// Computes num_rows (at most MR) x num_channels outputs; row_stride is in
// bytes.
typedef void (*live_tap_igemm_fn)(const struct live_tap_tile* tile,
                                  size_t num_rows, size_t num_channels,
                                  float* output, size_t row_stride);

void live_tap_igemm_7x32_avx512f(const struct live_tap_tile* tile,
                                 size_t num_rows, size_t num_channels,
                                 float* output, size_t row_stride);
void live_tap_igemm_7x16_avx512f(const struct live_tap_tile* tile,
                                 size_t num_rows, size_t num_channels,
                                 float* output, size_t row_stride);
void live_tap_igemm_5x16_fma3(const struct live_tap_tile* tile, size_t num_rows,
                              size_t num_channels, float* output,
                              size_t row_stride);

// The kernel of this machine for weights and tiles of MR x NR; NULL if there is
// none.
live_tap_igemm_fn live_tap_igemm_for(size_t mr, size_t nr);

// Whether this machine has any.
bool live_tap_igemm_exists(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_IGEMM_H_
