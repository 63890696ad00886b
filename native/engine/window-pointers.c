#include "native/engine/window-pointers.h"

#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

static const void* pointer_under_tap(const struct xnn_operator* op, size_t row,
                                     uint32_t ky, uint32_t kx) {
  const struct row_plan* plan = op->row_state->plan;
  const uint32_t source = row_plan_source(plan, row, ky, kx);
  return source == ROW_NONE ? op->zero_buffer
                            : (const void*)((uintptr_t)op->last_input +
                                            source * plan->input_row_bytes);
}

void window_point_igemm(struct xnn_operator* op, size_t mr) {
  const struct row_plan* plan = op->row_state->plan;
  const size_t num_rows = row_plan_computed_rows(plan);
  const void** pointer = op->indirection_buffer;
  for (size_t tile = 0; tile < num_rows; tile += mr) {
    for (uint32_t ky = 0; ky < plan->window.kernel_height; ky++) {
      for (uint32_t kx = 0; kx < plan->window.kernel_width; kx++) {
        for (size_t m = 0; m < mr; m++) {
          const size_t row = min(tile + m, num_rows - 1);
          *pointer++ = pointer_under_tap(op, row, ky, kx);
        }
      }
    }
  }
}

const void** window_point_rows(struct xnn_operator* op) {
  const struct row_plan* plan = op->row_state->plan;
  const void** pointer = op->indirection_buffer;
  for (size_t row = 0; row < row_plan_computed_rows(plan); row++) {
    for (uint32_t kx = 0; kx < plan->window.kernel_width; kx++) {
      for (uint32_t ky = 0; ky < plan->window.kernel_height; ky++) {
        *pointer++ = pointer_under_tap(op, row, ky, kx);
      }
    }
  }
  return pointer;
}

uint64_t* window_find_live_taps(const struct row_plan* plan, size_t mr,
                                double* share) {
  const size_t num_rows = row_plan_computed_rows(plan);
  const size_t num_tiles = divide_round_up(num_rows, mr);
  uint64_t* live_taps = xnn_allocate_zero_memory(num_tiles * sizeof(uint64_t));
  if (live_taps == NULL) {
    return NULL;
  }
  for (size_t row = 0; row < num_rows; row++) {
    live_taps[row / mr] |=
        window_live_taps(&plan->window, plan->input, row_plan_pixel(plan, row));
  }
  size_t num_live = 0;
  for (size_t tile = 0; tile < num_tiles; tile++) {
    num_live += (size_t)__builtin_popcountll(live_taps[tile]);
  }
  *share =
      (double)num_live / (double)(num_tiles * window_num_taps(&plan->window));
  return live_taps;
}
