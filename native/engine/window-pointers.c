#include "native/engine/window-pointers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

// Our kernel that skips dead taps is a little slower than upstream's on those
// that it visits.
static const double kMostLiveTaps = 0.95;

static int64_t clamp_to(int64_t position, int64_t size) {
  return position < 0 ? 0 : position >= size ? size - 1 : position;
}

// The row of the input tensor under a tap of an output pixel's window, or
// ROW_NONE where that is padding or masked. Poolings have no padding value:
// their windows are clamped to the plane instead.
static uint32_t row_under_tap(const struct row_plan* plan, size_t pixel,
                              uint32_t ky, uint32_t kx, bool clamp) {
  const struct window* window = &plan->window;
  const int64_t output_y = (int64_t)(pixel / plan->output_width);
  const int64_t output_x = (int64_t)(pixel % plan->output_width);
  int64_t y = output_y * window->stride_height +
              (int64_t)ky * window->dilation_height - window->padding_top;
  int64_t x = output_x * window->stride_width +
              (int64_t)kx * window->dilation_width - window->padding_left;
  if (clamp) {
    y = clamp_to(y, plan->input_height);
    x = clamp_to(x, plan->input_width);
  } else if (y < 0 || x < 0 || y >= plan->input_height ||
             x >= plan->input_width) {
    return ROW_NONE;
  }
  const size_t input_pixel = (size_t)y * plan->input_width + (size_t)x;
  return plan->input != NULL ? plan->input->row[input_pixel]
                             : (uint32_t)input_pixel;
}

uint64_t window_live_taps(const struct row_plan* plan, size_t pixel) {
  uint64_t live = 0;
  uint64_t tap = 1;
  for (uint32_t ky = 0; ky < plan->window.kernel_height; ky++) {
    for (uint32_t kx = 0; kx < plan->window.kernel_width; kx++) {
      if (row_under_tap(plan, pixel, ky, kx, /*clamp=*/false) != ROW_NONE) {
        live |= tap;
      }
      tap <<= 1;
    }
  }
  return live;
}

static const void* pointer_under_tap(const struct row_plan* plan,
                                     const struct xnn_operator* op, size_t row,
                                     uint32_t ky, uint32_t kx, bool clamp) {
  const size_t pixel = plan->output != NULL ? plan->output->pixel[row] : row;
  const uint32_t input_row = row_under_tap(plan, pixel, ky, kx, clamp);
  if (input_row == ROW_NONE) {
    return op->zero_buffer;
  }
  return (const void*)((uintptr_t)op->last_input +
                       input_row * plan->input_row_bytes);
}

void window_point_igemm(const struct row_plan* plan, struct xnn_operator* op,
                        size_t mr) {
  const size_t num_rows = row_plan_computed_rows(plan);
  const struct window* window = &plan->window;
  const void** pointer = op->indirection_buffer;
  for (size_t tile = 0; tile < num_rows; tile += mr) {
    for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
      for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
        for (size_t m = 0; m < mr; m++) {
          const size_t row = min(tile + m, num_rows - 1);
          *pointer++ = pointer_under_tap(plan, op, row, ky, kx, false);
        }
      }
    }
  }
}

const void** window_point_rows(const struct row_plan* plan,
                               struct xnn_operator* op, bool clamp) {
  const struct window* window = &plan->window;
  const void** pointer = op->indirection_buffer;
  for (size_t row = 0; row < row_plan_computed_rows(plan); row++) {
    for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
      for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
        *pointer++ = pointer_under_tap(plan, op, row, ky, kx, clamp);
      }
    }
  }
  return pointer;
}

bool window_find_live_taps(struct row_plan* plan, size_t mr) {
  if (plan->live_taps != NULL) {
    // Found for another runtime of the same subgraph.
    return true;
  }
  const size_t num_rows = row_plan_computed_rows(plan);
  const size_t num_tiles = divide_round_up(num_rows, mr);
  uint64_t* live_taps = xnn_allocate_zero_memory(num_tiles * sizeof(uint64_t));
  if (live_taps == NULL) {
    return false;
  }
  for (size_t row = 0; row < num_rows; row++) {
    const size_t pixel = plan->output != NULL ? plan->output->pixel[row] : row;
    live_taps[row / mr] |= window_live_taps(plan, pixel);
  }
  size_t num_live = 0;
  for (size_t tile = 0; tile < num_tiles; tile++) {
    num_live += (size_t)__builtin_popcountll(live_taps[tile]);
  }
  const size_t num_all = num_tiles * window_num_taps(&plan->window);
  if ((double)num_live > kMostLiveTaps * (double)num_all) {
    xnn_release_memory(live_taps);
    return true;
  }
  plan->live_taps = live_taps;
  return true;
}
