// Windows of convolutions and poolings: geometry alone.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/plane.h"
#include "native/engine/row-set.h"

#ifdef __cplusplus
extern "C" {
#endif

// A window that moves over an input plane, one position per output pixel.
struct window {
  uint32_t kernel_height;
  uint32_t kernel_width;
  uint32_t stride_height;
  uint32_t stride_width;
  uint32_t dilation_height;
  uint32_t dilation_width;
  uint32_t padding_top;
  uint32_t padding_left;
  // Poolings have no padding value: taps outside of the plane read its nearest
  // pixel.
  bool is_clamped;
  struct plane input;
  struct plane output;
};

// The window of one tap from each pixel to itself.
struct window window_identity(struct plane plane);

size_t window_num_taps(const struct window* window);

// Whether each output pixel reads the input pixel of the same place alone.
bool window_is_identity(const struct window* window);

bool window_equals(const struct window* a, const struct window* b);

// Whether its taps fit a set of 64.
bool window_can_skip_taps(const struct window* window);

// The row, in a tensor that stores `rows` (NULL: every pixel) of the input
// plane, under a tap of an output pixel's window; ROW_NONE where that is
// padding or masked.
uint32_t window_row_under_tap(const struct window* window,
                              const struct row_set* rows, size_t pixel,
                              uint32_t ky, uint32_t kx);

// Bit t is set if there is a row under tap t (in raster order).
uint64_t window_live_taps(const struct window* window,
                          const struct row_set* rows, size_t pixel);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_H_
