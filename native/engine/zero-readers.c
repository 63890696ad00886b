#include "native/engine/zero-readers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "native/engine/zero-state.h"
#include "native/engine/zeros/nonzero-spread.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

static struct window window_of(const struct xnn_operator* op) {
  const struct row_plan* plan = zero_plan_of(op);
  return plan != NULL ? plan->window
                      : (struct window){
                            .kernel_height = op->kernel_height,
                            .kernel_width = op->kernel_width,
                            .stride_height = op->stride_height,
                            .stride_width = op->stride_width,
                            .dilation_height = op->dilation_height,
                            .dilation_width = op->dilation_width,
                            .padding_top = op->padding_top,
                            .padding_left = op->padding_left,
                            .input = {(uint32_t)op->input_height,
                                      (uint32_t)op->input_width},
                            .output = {(uint32_t)op->output_height,
                                       (uint32_t)op->output_width},
                        };
}

// The input pixels under the taps of a block of rows, [num_rows][num_taps].
static void find_pixels(const struct row_plan* plan,
                        const struct window* window, size_t row_start,
                        size_t num_rows, uint32_t* pixels) {
  for (size_t row = row_start; row < row_start + num_rows; row++) {
    const size_t output_pixel = plan == NULL ? row : row_plan_pixel(plan, row);
    for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
      for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
        const uint32_t pixel =
            window_row_under_tap(window, /*rows=*/NULL, output_pixel, ky, kx);
        const bool is_masked = pixel != ROW_NONE && plan != NULL &&
                               plan->input != NULL &&
                               plan->input->row[pixel] == ROW_NONE;
        *pixels++ = is_masked ? NONZERO_NO_PIXEL : pixel;
      }
    }
  }
}

bool zero_readers_find(struct zero_skipping* skipping) {
  const struct xnn_operator* op = skipping->op;
  const struct row_plan* plan = zero_plan_of(op);
  const struct window window = window_of(op);
  const size_t rows_per_block = skipping->rows_per_block;
  skipping->num_readers = divide_round_up(skipping->num_rows, rows_per_block);
  skipping->readers = xnn_allocate_zero_memory(skipping->num_readers *
                                               sizeof(*skipping->readers));
  uint32_t* pixels = xnn_allocate_memory(
      rows_per_block * window_num_taps(&window) * sizeof(uint32_t));
  bool is_found = skipping->readers != NULL && pixels != NULL;
  for (size_t b = 0; is_found && b < skipping->num_readers; b++) {
    const size_t row = b * rows_per_block;
    const size_t num_rows = min(rows_per_block, skipping->num_rows - row);
    find_pixels(plan, &window, row, num_rows, pixels);
    is_found = nonzero_readers_find(
        &skipping->gemm, pixels, num_rows,
        plan != NULL && plan->input != NULL ? plan->input->row : NULL,
        &skipping->readers[b]);
  }
  xnn_release_memory(pixels);
  return is_found;
}

void zero_readers_release(struct zero_skipping* skipping) {
  for (size_t b = 0; skipping->readers != NULL && b < skipping->num_readers;
       b++) {
    nonzero_readers_release(&skipping->readers[b]);
  }
  xnn_release_memory(skipping->readers);
  skipping->readers = NULL;
  skipping->num_readers = 0;
}
