#include "native/engine/window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/plane.h"
#include "native/engine/row-set.h"

struct window window_identity(struct plane plane) {
  return (struct window){.kernel_height = 1,
                         .kernel_width = 1,
                         .stride_height = 1,
                         .stride_width = 1,
                         .dilation_height = 1,
                         .dilation_width = 1,
                         .input = plane,
                         .output = plane};
}

size_t window_num_taps(const struct window* window) {
  return (size_t)window->kernel_height * window->kernel_width;
}

bool window_is_identity(const struct window* window) {
  return (window->kernel_height | window->kernel_width | window->stride_height |
          window->stride_width) == 1 &&
         (window->padding_top | window->padding_left) == 0 &&
         window->input.height == window->output.height &&
         window->input.width == window->output.width;
}

bool window_equals(const struct window* a, const struct window* b) {
  return a->kernel_height == b->kernel_height &&
         a->kernel_width == b->kernel_width &&
         a->stride_height == b->stride_height &&
         a->stride_width == b->stride_width &&
         a->dilation_height == b->dilation_height &&
         a->dilation_width == b->dilation_width &&
         a->padding_top == b->padding_top &&
         a->padding_left == b->padding_left && a->is_clamped == b->is_clamped &&
         a->input.height == b->input.height &&
         a->input.width == b->input.width &&
         a->output.height == b->output.height &&
         a->output.width == b->output.width;
}

bool window_can_skip_taps(const struct window* window) {
  return window_num_taps(window) <= 64;
}

static int64_t clamp_to(int64_t position, int64_t size) {
  return position < 0 ? 0 : position >= size ? size - 1 : position;
}

uint32_t window_row_under_tap(const struct window* window,
                              const struct row_set* rows, size_t pixel,
                              uint32_t ky, uint32_t kx) {
  const struct plane input = window->input;
  const int64_t output_y = (int64_t)(pixel / window->output.width);
  const int64_t output_x = (int64_t)(pixel % window->output.width);
  int64_t y = output_y * window->stride_height +
              (int64_t)ky * window->dilation_height - window->padding_top;
  int64_t x = output_x * window->stride_width +
              (int64_t)kx * window->dilation_width - window->padding_left;
  if (window->is_clamped) {
    y = clamp_to(y, input.height);
    x = clamp_to(x, input.width);
  } else if (y < 0 || x < 0 || y >= input.height || x >= input.width) {
    return ROW_NONE;
  }
  const size_t input_pixel = (size_t)y * input.width + (size_t)x;
  return row_set_row(rows, input_pixel);
}

uint64_t window_live_taps(const struct window* window,
                          const struct row_set* rows, size_t pixel) {
  uint64_t live = 0;
  uint64_t tap = 1;
  for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
    for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
      if (window_row_under_tap(window, rows, pixel, ky, kx) != ROW_NONE) {
        live |= tap;
      }
      tap <<= 1;
    }
  }
  return live;
}
