#include "native/engine/window-tasks.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/kernels/zero-sums.h"
#include "native/engine/plane.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "native/engine/window-table.h"
#include "xnnpack/common.h"
#include "xnnpack/compute.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

// Output of one tile before its rows are put at their pixels: small enough, if
// a kernel's block of channels allows, to stay in the first-level cache with
// the weights.
enum { kTileBytes = 8192 };

// Rows whose pixels are looked up at once.
enum { kRowsAtOnce = 128 };

// Some pooling kernels load this many pointers past the window's end, without
// following them.
enum { kPoolingSlack = 16 };

static void* at(const void* base, size_t offset) {
  return (void*)((uintptr_t)base + offset);
}

static void zero_masked(const struct row_plan* plan, const struct row_set* rows,
                        void* output, size_t start, size_t end, size_t bytes) {
  uint32_t pixels[kRowsAtOnce];
  while (start < end) {
    const size_t count = min(end - start, kRowsAtOnce);
    row_set_masked_pixels(rows, start, count, pixels);
    for (size_t i = 0; i < count; i++) {
      memset(at(output, pixels[i] * plan->output_row_bytes), plan->output_zero,
             bytes);
    }
    start += count;
  }
}

void window_insert_zeros(const struct row_plan* plan, void* output,
                         size_t row_start, size_t num_rows, size_t bytes) {
  if (!plan->inserts_zeros) {
    return;
  }
  const size_t kept = plan->output->count;
  const size_t masked = plane_pixels(plan->window.output) - kept;
  zero_masked(plan, plan->output, output, row_start * masked / kept,
              (row_start + num_rows) * masked / kept, bytes);
}

// Rows whose pixels lie in one line, `distance` pixels apart.
struct run {
  size_t length;
  size_t distance;
};

// The longest run that begins with the first of some pixels.
static struct run find_run(const uint32_t* pixels, size_t count,
                           size_t line_end) {
  if (count == 1 || pixels[1] <= pixels[0] || pixels[1] >= line_end) {
    return (struct run){1, 1};
  }
  struct run run = {2, pixels[1] - pixels[0]};
  while (run.length < count && pixels[run.length] < line_end &&
         pixels[run.length] == pixels[run.length - 1] + run.distance) {
    run.length++;
  }
  return run;
}

// Where a row is stored in the output tensor.
static size_t place_of(const struct row_plan* plan, size_t row,
                       uint32_t pixel) {
  return plan->scatter ? pixel : row;
}

// What rows of zeros add to a tile's first channel.
static const int32_t* zero_sums_of(const struct xnn_operator* op,
                                   const struct gemm_block* tile) {
  const struct row_state* state = op->row_state;
  const size_t stride =
      zero_sums_stride(&state->kernel->format, op->group_output_channels);
  return state->zero_sums == NULL
             ? NULL
             : state->zero_sums +
                   tile->group * op->context.igemm.igemm.ks * stride +
                   tile->channel;
}

// Runs a tile in the kernel that was chosen for the operator.
static void run_tile(const struct xnn_operator* op,
                     const struct gemm_block* tile, const void** pointers,
                     void* output, size_t output_stride) {
  const struct row_state* state = op->row_state;
  if (state->kernel == NULL) {
    gemm_run_indirect_tile(op, tile, pointers, output, output_stride);
    return;
  }
  const struct igemm_context* context = &op->context.igemm.igemm;
  const struct tile argument = {
      .live_taps = state->table->live_taps[tile->row / op->gemm_loops.mr],
      .pointers = pointers,
      .zero = context->zero,
      .input_offset = context->a_offset + tile->group * context->ga_stride +
                      tile->batch * context->ba_stride,
      .row_bytes = context->kc,
      .num_taps = context->ks,
      .weights = at(context->packed_w, tile->group * context->gw_stride +
                                           tile->channel * context->w_stride),
      .params = &context->params,
      .zero_sums = zero_sums_of(op, tile),
      .zero_sums_stride =
          zero_sums_stride(&state->kernel->format, op->group_output_channels),
  };
  state->kernel->run(&argument, tile->num_rows, tile->num_channels, output,
                     output_stride);
}

// Runs a tile whose rows go to these pixels in `output`. The tile is changed in
// place: a copy would load fields that were just stored in wider pieces, for
// which processors wait.
static void scatter_tile(const struct xnn_operator* op,
                         const struct gemm_block* block,
                         struct gemm_block* tile, const void** pointers,
                         const uint32_t* pixels, void* output) {
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
    run_tile(op, tile, pointers, buffer, bytes);
    for (size_t r = 0; r < tile->num_rows; r++) {
      memcpy(at(output,
                pixels[r] * context->cm_stride + (n << context->log2_csize)),
             buffer + r * bytes, bytes);
    }
  }
}

void window_run_convolution(const struct xnn_operator* op,
                            const struct gemm_block* block) {
  const struct row_plan* plan = op->row_state->plan;
  const struct igemm_context* context = &op->context.igemm.igemm;
  void* output = at(context->c, block->batch * context->bc_stride +
                                    block->group * context->gc_stride +
                                    (block->channel << context->log2_csize));
  const struct window_table* table = op->row_state->table;
  const bool finds_pointers = table->pointers == NULL;
  const size_t mr = op->gemm_loops.mr;
  const size_t rows_at_once = kRowsAtOnce / mr * mr;
  uint32_t pixels[kRowsAtOnce];
  const void* found[kRowsAtOnce];
  struct gemm_block tile = *block;
  const size_t end = block->row + block->num_rows;
  for (; tile.row < end; tile.row += mr) {
    tile.num_rows = min(end - tile.row, mr);
    const size_t known = (tile.row - block->row) % rows_at_once;
    if (known == 0 && (plan->scatter || finds_pointers)) {
      const size_t count = min(end - tile.row, rows_at_once);
      row_set_pixels(plan->output, tile.row, count, pixels);
      if (finds_pointers) {
        window_table_point(table, pixels, count, found);
      }
      if (plan->scatter) {
        // Now, while these lines of the output are near.
        window_insert_zeros(plan, output, tile.row, count,
                            block->num_channels << context->log2_csize);
      }
    }
    const void** pointers = finds_pointers
                                ? found + known
                                : table->pointers + tile.row * context->ks;
    if (plan->scatter) {
      scatter_tile(op, block, &tile, pointers, pixels + known, output);
    } else {
      run_tile(op, &tile, pointers, at(output, tile.row * context->cm_stride),
               context->cm_stride);
    }
  }
}

void window_zero_block(const struct xnn_operator* op,
                       const struct gemm_block* block) {
  const struct row_plan* plan = op->row_state->plan;
  const size_t num_pixels = plane_pixels(plan->window.output);
  const size_t num_channels = op->groups * op->group_output_channels;
  const size_t channel_bytes = plan->output_row_bytes / num_channels;
  uint8_t* output =
      at(op->output,
         block->batch * num_pixels * plan->output_row_bytes +
             (block->group * op->group_output_channels + block->channel) *
                 channel_bytes);
  for (size_t row = block->row; row < block->row + block->num_rows; row++) {
    // Contiguous GEMMs take all batch elements for one.
    if (!row_set_has(plan->zeroed_outside, row % num_pixels)) {
      memset(output + row * plan->output_row_bytes, plan->output_zero,
             block->num_channels * channel_bytes);
    }
  }
}

void window_run_and_zero(const struct xnn_operator* op,
                         const struct gemm_block* block) {
  const size_t mr = op->gemm_loops.mr;
  const size_t row_bytes = op->row_state->plan->output_row_bytes;
  const size_t num_rows = max(kTileBytes / row_bytes / mr, 1) * mr;
  const size_t end = block->row + block->num_rows;
  struct gemm_block part = *block;
  for (; part.row < end; part.row += part.num_rows) {
    part.num_rows = min(end - part.row, num_rows);
    op->row_state->run_all(op, &part);
    window_zero_block(op, &part);
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
  const struct window_table* table = op->row_state->table;
  const uint32_t width = plan->window.output.width;
  uint32_t pixels[kRowsAtOnce];
  for (size_t i = 0; i < num_rows;) {
    const size_t known = i % kRowsAtOnce;
    if (known == 0) {
      row_set_pixels(plan->output, row_start + i,
                     min(num_rows - i, kRowsAtOnce), pixels);
    }
    const uint32_t y = pixels[known] / width;
    const struct run run = find_run(
        pixels + known, min(num_rows - (i - known), kRowsAtOnce) - known,
        (y + 1) * width);
    const void** pointers =
        window_table_pointers(table, y, pixels[known] - y * width);
    void* run_output = at(output, place_of(plan, row_start + i, pixels[known]) *
                                      plan->output_row_bytes);
    // Upstream's geometry has windows one after the other.
    const size_t input_stride =
        context->indirect_input_width_stride +
        (run.distance * table->pixel_pointers - context->kernel_size) *
            sizeof(void*);
    const size_t output_increment =
        context->output_increment +
        (plan->scatter ? (run.distance - 1) * plan->output_row_bytes : 0);
    if (op->ukernel.dwconv.last_tile == 0) {
      context->unipass_ukernel(context->groups, run.length, pointers,
                               context->packed_weights, run_output,
                               input_stride, output_increment, input_offset,
                               context->zero, &context->params);
    } else {
      context->multipass_ukernel(
          context->groups, run.length, pointers, context->packed_weights,
          run_output, input_stride, output_increment, input_offset,
          context->zero, context->kernel_size,
          multipass_buffer_of_task(context, batch, row_start),
          &context->params);
    }
    i += run.length;
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
  const struct window_table* table = op->row_state->table;
  const uint32_t width = plan->window.output.width;
  const void* taps[WINDOW_MAX_POOLING_TAPS + kPoolingSlack] = {NULL};
  uint32_t pixels[kRowsAtOnce];
  for (size_t i = 0; i < num_rows; i++) {
    const size_t known = i % kRowsAtOnce;
    if (known == 0) {
      row_set_pixels(plan->output, row_start + i,
                     min(num_rows - i, kRowsAtOnce), pixels);
    }
    const uint32_t y = pixels[known] / width;
    const void** pointers =
        window_table_pointers(table, y, pixels[known] - y * width);
    // Pooling kernels add the offset to every pointer: zero rows, which do
    // not move with the input, get theirs here.
    for (size_t t = 0; t < context->pooling_size; t++) {
      taps[t] = pointers[t] == table->zero_row ? table->zero_row
                                               : at(pointers[t], offset);
    }
    context->ukernel(1, context->pooling_size, context->channels, taps,
                     /*input_offset=*/0,
                     at(output, place_of(plan, row_start + i, pixels[known]) *
                                    plan->output_row_bytes),
                     context->input_increment, context->output_increment,
                     &context->params);
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
