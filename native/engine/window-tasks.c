#include "native/engine/window-tasks.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/plane.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "xnnpack/common.h"
#include "xnnpack/compute.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

// Output of one tile before its rows are put at their pixels: small enough, if
// a kernel's block of channels allows, to stay in the first-level cache with
// the weights.
enum { kTileBytes = 8192 };

// Some pooling kernels load this many pointers past the window's end, without
// following them.
enum { kPoolingSlack = 16 };

static void* at(const void* base, size_t offset) {
  return (void*)((uintptr_t)base + offset);
}

static void zero_masked(const struct row_plan* plan, const struct row_set* rows,
                        void* output, size_t start, size_t end, size_t bytes) {
  for (size_t i = start; i < end; i++) {
    const size_t pixel = rows->pixel[rows->count + i];
    memset(at(output, pixel * plan->output_row_bytes), plan->output_zero,
           bytes);
  }
}

void window_insert_zeros(const struct row_plan* plan, void* output,
                         size_t row_start, size_t num_rows, size_t bytes) {
  const size_t kept = plan->output->count;
  const size_t masked = plane_pixels(plan->window.output) - kept;
  zero_masked(plan, plan->output, output, row_start * masked / kept,
              (row_start + num_rows) * masked / kept, bytes);
}

// How many rows from `row` on are stored one after the other.
static size_t run_length(const struct row_plan* plan, size_t row, size_t end) {
  size_t next = row + 1;
  while (next < end && row_plan_place(plan, next) ==
                           row_plan_place(plan, row) + (next - row)) {
    next++;
  }
  return next - row;
}

// Runs a tile in the kernel that was chosen for the operator.
static void run_tile(const struct xnn_operator* op,
                     const struct gemm_block* tile, void* output,
                     size_t output_stride) {
  const struct row_state* state = op->row_state;
  if (state->kernel == NULL) {
    gemm_run_tile(op, tile, output, output_stride);
    return;
  }
  const struct igemm_context* context = &op->context.igemm.igemm;
  const struct tile argument = {
      .live_taps = state->live_taps[tile->row / op->gemm_loops.mr],
      .pointers =
          at(context->indirect_a, tile->row * context->ks * sizeof(void*)),
      .zero = context->zero,
      .input_offset = context->a_offset + tile->group * context->ga_stride +
                      tile->batch * context->ba_stride,
      .num_input_channels = context->kc / sizeof(float),
      .num_taps = context->ks,
      .weights = at(context->packed_w, tile->group * context->gw_stride +
                                           tile->channel * context->w_stride),
      .params = &context->params,
  };
  state->kernel(&argument, tile->num_rows, tile->num_channels, output,
                output_stride);
}

// Runs a tile whose rows go to their pixels in `output`. The tile is changed in
// place: a copy would load fields that were just stored in wider pieces, for
// which processors wait.
static void scatter_tile(const struct xnn_operator* op,
                         const struct gemm_block* block,
                         struct gemm_block* tile, void* output) {
  const struct row_plan* plan = op->row_state->plan;
  const struct igemm_context* context = &op->context.igemm.igemm;
  // As large as one block of channels, however wide the kernel.
  const size_t nr = op->ukernel.igemm.nr;
  const size_t channels_per_pass =
      max((kTileBytes / tile->num_rows >> context->log2_csize) / nr, 1) * nr;
  uint8_t* buffer = __builtin_alloca_with_align(
      tile->num_rows * channels_per_pass << context->log2_csize, 8 * 64);
  for (size_t n = 0; n < block->num_channels; n += channels_per_pass) {
    tile->channel = block->channel + n;
    tile->num_channels = min(channels_per_pass, block->num_channels - n);
    const size_t bytes = tile->num_channels << context->log2_csize;
    run_tile(op, tile, buffer, bytes);
    for (size_t r = 0; r < tile->num_rows; r++) {
      const size_t pixel = plan->output->pixel[tile->row + r];
      memcpy(
          at(output, pixel * context->cm_stride + (n << context->log2_csize)),
          buffer + r * bytes, bytes);
    }
  }
  window_insert_zeros(plan, output, tile->row, tile->num_rows,
                      block->num_channels << context->log2_csize);
}

void window_run_convolution(const struct xnn_operator* op,
                            const struct gemm_block* block) {
  const struct row_plan* plan = op->row_state->plan;
  const struct igemm_context* context = &op->context.igemm.igemm;
  void* output = at(context->c, block->batch * context->bc_stride +
                                    block->group * context->gc_stride +
                                    (block->channel << context->log2_csize));
  struct gemm_block tile = *block;
  const size_t end = block->row + block->num_rows;
  for (; tile.row < end; tile.row += op->gemm_loops.mr) {
    tile.num_rows = min(end - tile.row, op->gemm_loops.mr);
    if (plan->scatter) {
      scatter_tile(op, block, &tile, output);
    } else {
      run_tile(op, &tile, at(output, tile.row * context->cm_stride),
               context->cm_stride);
    }
  }
}

// The multi-pass kernels' accumulators: every task has its own.
static void* multipass_buffer_of_task(const struct dwconv_context* context,
                                      size_t batch, size_t row_start) {
  const struct compute_parameters* compute =
      &operator_of_context(context)->compute[0];
  const size_t tasks_per_batch =
      divide_round_up(compute->range[1], compute->tile[0]);
  const size_t task = batch * tasks_per_batch + row_start / compute->tile[0];
  return at(context->multipass_buffer, task * context->buffer_size);
}

void window_task_dwconv(const struct dwconv_context* context, size_t batch,
                        size_t row_start, size_t num_rows) {
  const struct xnn_operator* op = operator_of_context(context);
  const struct row_plan* plan = op->row_state->plan;
  const size_t input_offset =
      context->input_offset + batch * context->input_batch_stride;
  void* output = at(context->output, batch * context->output_batch_stride);
  const size_t end = row_start + num_rows;
  for (size_t row = row_start; row < end;) {
    const size_t run = run_length(plan, row, end);
    const void** pointers =
        at(context->indirect_input, row * context->kernel_size * sizeof(void*));
    void* run_output =
        at(output, row_plan_place(plan, row) * plan->output_row_bytes);
    if (op->ukernel.dwconv.last_tile == 0) {
      context->unipass_ukernel(
          context->groups, run, pointers, context->packed_weights, run_output,
          context->indirect_input_width_stride, context->output_increment,
          input_offset, context->zero, &context->params);
    } else {
      context->multipass_ukernel(
          context->groups, run, pointers, context->packed_weights, run_output,
          context->indirect_input_width_stride, context->output_increment,
          input_offset, context->zero, context->kernel_size,
          multipass_buffer_of_task(context, batch, row_start),
          &context->params);
    }
    row += run;
  }
  if (plan->scatter) {
    window_insert_zeros(plan, output, row_start, num_rows,
                        plan->output_row_bytes);
  }
}

void window_task_max_pooling(const struct max_pooling_context* context,
                             size_t batch, size_t row_start, size_t num_rows) {
  const struct xnn_operator* op = operator_of_context(context);
  const struct row_plan* plan = op->row_state->plan;
  const size_t offset =
      context->input_offset + batch * context->input_batch_stride;
  void* output = at(context->output, batch * context->output_batch_stride);
  const void* taps[WINDOW_MAX_POOLING_TAPS + kPoolingSlack] = {NULL};
  for (size_t row = row_start; row < row_start + num_rows; row++) {
    const void** pointers =
        context->indirect_input + row * context->pooling_size;
    // Pooling kernels add the offset to every pointer: zero rows, which do
    // not move with the input, get theirs here.
    for (size_t t = 0; t < context->pooling_size; t++) {
      taps[t] = pointers[t] == op->zero_buffer ? op->zero_buffer
                                               : at(pointers[t], offset);
    }
    context->ukernel(
        1, context->pooling_size, context->channels, taps,
        /*input_offset=*/0,
        at(output, row_plan_place(plan, row) * plan->output_row_bytes),
        context->input_increment, context->output_increment, &context->params);
  }
  if (plan->scatter) {
    window_insert_zeros(plan, output, row_start, num_rows,
                        plan->output_row_bytes);
  }
}

void window_task_zero(const void* context, size_t batch, size_t start,
                      size_t count) {
  const struct xnn_operator* op = operator_of_context(context);
  const struct row_plan* plan = op->row_state->plan;
  zero_masked(plan, plan->zeroed_outside,
              at(op->output,
                 batch * row_plan_output_rows(plan) * plan->output_row_bytes),
              start, start + count, plan->output_row_bytes);
}
