// Convolution kernels that skip taps.
//
// Where a convolution's input is masked too, many taps of a tile of output rows
// read nothing but zeros: they are dead, and adding their products changes no
// bit of the sum. These kernels visit the live taps alone. Upstream's kernels
// cannot, since their weights follow one another from tap to tap.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_H_

#include <stddef.h>

#include "native/engine/kernels/tile-kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

void live_tap_7x32_avx512f(const struct tile* tile, size_t num_rows,
                           size_t num_channels, void* output,
                           size_t row_stride);
void live_tap_7x16_avx512f(const struct tile* tile, size_t num_rows,
                           size_t num_channels, void* output,
                           size_t row_stride);
void live_tap_5x16_fma3(const struct tile* tile, size_t num_rows,
                        size_t num_channels, void* output, size_t row_stride);
void live_tap_6x8_neon(const struct tile* tile, size_t num_rows,
                       size_t num_channels, void* output, size_t row_stride);
void live_tap_4x8_neon(const struct tile* tile, size_t num_rows,
                       size_t num_channels, void* output, size_t row_stride);

// In 8 bits, with a scale for each output channel.
void live_tap_16x64c4_avx512amx(const struct tile* tile, size_t num_rows,
                                size_t num_channels, void* output,
                                size_t row_stride);
void live_tap_7x16c8_avx512vnni(const struct tile* tile, size_t num_rows,
                                size_t num_channels, void* output,
                                size_t row_stride);
void live_tap_3x8c8_avx2(const struct tile* tile, size_t num_rows,
                         size_t num_channels, void* output, size_t row_stride);
void live_tap_4x16c4_neondot(const struct tile* tile, size_t num_rows,
                             size_t num_channels, void* output,
                             size_t row_stride);
void live_tap_2x8c8_neon(const struct tile* tile, size_t num_rows,
                         size_t num_channels, void* output, size_t row_stride);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_LIVE_TAP_H_
