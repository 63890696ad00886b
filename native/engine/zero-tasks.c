#include "native/engine/zero-tasks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "native/engine/sparsity.h"
#include "native/engine/window-table.h"
#include "native/engine/window-tasks.h"
#include "native/engine/zero-product.h"
#include "native/engine/zero-readers.h"
#include "native/engine/zero-state.h"
#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-spread.h"
#include "xnnpack/common.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

// Blocks of channels that a look samples, and inferences from one look to the
// next while a layer has too few zeros.
static const size_t kLooks = 32;
static const size_t kInferencesBetweenLooks = 16;

static struct xnn_operator* operator_of(void* context) {
  return (struct xnn_operator*)operator_of_context(context);
}

// Where the stored rows begin.
static const void* stored_rows(const struct xnn_operator* op) {
  return zero_is_gemm(op) ? op->context.gemm.gemm.gemm.a : op->input;
}

// Share of zeros in some blocks of channels, spread over all rows.
static double sample_zeros(const struct xnn_operator* op) {
  const struct zero_skipping* skipping = op->zero_skipping;
  const size_t channels = skipping->row_bytes / sizeof(float);
  const size_t block = min(channels, NONZERO_LIST_MAX_CHANNELS);
  const size_t blocks_per_row = divide_round_up(channels, block);
  const size_t num_blocks = skipping->num_stored_rows * blocks_per_row;
  const size_t num_looks = min(num_blocks, kLooks);
  size_t values = 0;
  size_t nonzeros = 0;
  for (size_t i = 0; i < num_looks; i++) {
    // The middle of each of as many equal parts.
    const size_t b = (2 * i + 1) * num_blocks / (2 * num_looks);
    const size_t channel = b % blocks_per_row * block;
    const size_t count = min(block, channels - channel);
    uint8_t places[NONZERO_LIST_MAX_CHANNELS];
    nonzeros += skipping->gemm.list(
        zero_at(stored_rows(op), b / blocks_per_row * skipping->row_bytes +
                                     channel * sizeof(float)),
        count, places);
    values += count;
  }
  return 1.0 - (double)nonzeros / (double)values;
}

void zero_task_look(void* context, size_t index) {
  (void)index;  // there is one
  struct xnn_operator* op = operator_of(context);
  struct zero_skipping* skipping = op->zero_skipping;
  if (skipping->inferences_to_next_look != 0) {
    skipping->inferences_to_next_look--;
  } else {
    skipping->last_zeros = sample_zeros(op);
    skipping->sum_of_zeros += skipping->last_zeros;
    skipping->num_looks++;
    skipping->skips = skipping->mode == xnn_zeros_mode_always ||
                      1.0 - skipping->last_zeros <= skipping->most_nonzeros;
    skipping->inferences_to_next_look =
        skipping->skips ? 0 : kInferencesBetweenLooks - 1;
  }
  const bool skips = skipping->skips;
  skipping->find->type = skips && skipping->lists_stride != 0
                             ? xnn_parallelization_type_1d_tile_1d
                             : xnn_parallelization_type_invalid;
  skipping->multiply->type =
      skips ? xnn_parallelization_type_3d_tile_1d_with_thread
            : xnn_parallelization_type_invalid;
  skipping->dense->type =
      skips ? xnn_parallelization_type_invalid : skipping->dense_type;
}

void zero_task_find(void* context, size_t row_start, size_t num_rows) {
  const struct xnn_operator* op = operator_of(context);
  const struct zero_skipping* skipping = op->zero_skipping;
  for (size_t row = row_start; row < row_start + num_rows; row++) {
    const float* channels = zero_at(stored_rows(op), row * skipping->row_bytes);
    uint8_t* lists = skipping->workspace + row * skipping->lists_stride;
    for (size_t group = 0; group < skipping->num_groups; group++) {
      nonzero_lists_make(&skipping->gemm,
                         channels + group * skipping->gemm.num_channels,
                         lists + group * skipping->gemm.lists_bytes);
    }
  }
}

// The masked pixels that a task answers for.
static void finish(const struct xnn_operator* op, float* rows,
                   const struct gemm_block* block) {
  const struct row_plan* plan = zero_plan_of(op);
  if (plan != NULL && plan->scatter) {
    window_insert_zeros(plan, rows + block->channel, block->row,
                        block->num_rows, block->num_channels * sizeof(float));
  } else if (op->row_state != NULL && op->row_state->run_all != NULL) {
    window_zero_block(op, block);
  }
}

// Pixels of a block of rows; NULL between dense tensors.
static uint32_t* find_pixels(const struct zero_skipping* skipping,
                             size_t row_start, size_t num_rows,
                             uint32_t* pixels) {
  const struct row_plan* plan = zero_plan_of(skipping->op);
  if (plan == NULL) {
    return NULL;
  }
  if (skipping->readers != NULL) {
    row_set_kept_pixels(plan->output, row_start, num_rows, pixels);
  } else {
    row_set_pixels(plan->output, row_start, num_rows, pixels);
  }
  return pixels;
}

// Nonzeros are spread in raster order.
static void spread(const struct xnn_operator* op,
                   const struct nonzero_gemm* gemm, struct nonzero_input* input,
                   struct nonzero_output* output, size_t batch,
                   size_t row_start, uint32_t* pixels, size_t output_start,
                   size_t num_outputs, void* scratch) {
  const struct zero_skipping* skipping = op->zero_skipping;
  const struct row_plan* plan = zero_plan_of(op);
  const struct nonzero_readers* readers =
      &skipping->readers->blocks[row_start / skipping->rows_per_block];
  if (plan != NULL && !plan->scatter && plan->output != NULL) {
    for (size_t r = 0; r < readers->num_rows; r++) {
      pixels[r] = row_set_row(plan->output, pixels[r]);
    }
    output->places = pixels;
  }
  input->rows = zero_at(input->rows, batch * op->context.igemm.igemm.ba_stride);
  nonzero_spread_run(gemm, readers, input, output, row_start, output_start,
                     num_outputs, scratch);
}

void zero_task_multiply(void* context, size_t thread, size_t product,
                        size_t part, size_t row_start, size_t num_rows) {
  const struct xnn_operator* op = operator_of(context);
  const struct zero_skipping* skipping = op->zero_skipping;
  const size_t batch = product / skipping->num_groups;
  const size_t group = product % skipping->num_groups;
  const size_t output_start = part * skipping->outputs_per_task;
  struct nonzero_gemm gemm = skipping->gemm;
  gemm.weights = zero_product_weights(op, group);
  const size_t num_outputs =
      min(skipping->outputs_per_task, gemm.num_outputs - output_start);
  const struct gemm_block block = {
      .group = group,
      .channel = output_start,
      .num_channels = num_outputs,
      .batch = batch,
      .row = row_start,
      .num_rows = num_rows,
  };
  const struct row_plan* plan = zero_plan_of(op);
  uint32_t* pixels = find_pixels(
      skipping, row_start, num_rows,
      __builtin_alloca_with_align(num_rows * sizeof(uint32_t), 8 * 64));
  // Of `input` and of rows that are not placed.
  size_t first_row = row_start;

  struct nonzero_input input = {
      .row_bytes = skipping->row_bytes,
      .lists = skipping->workspace + group * gemm.lists_bytes,
      .lists_stride = skipping->lists_stride,
  };
  struct nonzero_output output = {
      .row_bytes = op->output_pixel_stride * sizeof(float),
  };
  if (zero_is_gemm(op)) {
    const struct gemm_context* gemm_context = &op->context.gemm.gemm.gemm;
    input.rows = zero_at(gemm_context->a, group * gemm_context->ga_stride);
    output.rows = zero_at(gemm_context->c, group * gemm_context->gc_stride);
  } else {
    const struct igemm_context* igemm = &op->context.igemm.igemm;
    input.rows = zero_at(op->input, group * igemm->ga_stride);
    input.pointers = (const void* const*)igemm->indirect_a;
    if (plan != NULL && gemm.num_taps == 1 &&
        op->row_state->table->pointers == NULL) {
      first_row = 0;
      const void** pointers = __builtin_alloca_with_align(
          round_up(num_rows, zero_product_tile_rows(op)) * sizeof(void*),
          8 * 64);
      window_table_point(op->row_state->table, pixels, num_rows, pointers);
      input.pointers = (const void* const*)pointers;
    }
    input.tile_rows = zero_product_tile_rows(op);
    input.zero = igemm->zero;
    input.offset =
        igemm->a_offset + group * igemm->ga_stride + batch * igemm->ba_stride;
    output.rows =
        zero_at(igemm->c, batch * igemm->bc_stride + group * igemm->gc_stride);
    if (plan != NULL && plan->scatter) {
      output.places = pixels;
    } else {
      output.rows =
          zero_at(output.rows, (row_start - first_row) * output.row_bytes);
    }
  }
  void* scratch = skipping->workspace +
                  skipping->num_stored_rows * skipping->lists_stride +
                  thread * skipping->scratch_bytes;
  scratch = (void*)round_up_po2((uintptr_t)scratch, XNN_ALLOCATION_ALIGNMENT);

  if (skipping->readers != NULL) {
    spread(op, &gemm, &input, &output, batch, row_start, pixels, output_start,
           num_outputs, scratch);
    finish(op, output.rows, &block);
    return;
  }

  const struct nonzero_block_work work =
      nonzero_block_look(&gemm, &input, first_row, num_rows, scratch);
  const double values = (double)work.num_visits / (double)gemm.num_lists *
                        (double)gemm.num_channels;
  if (skipping->mode != xnn_zeros_mode_always && op->gemm_loops.run != NULL &&
      (double)work.num_nonzeros > skipping->most_nonzeros * values) {
    op->gemm_loops.run(op, &block);
    return;
  }
  nonzero_block_run(&gemm, &input, &output, first_row, num_rows, output_start,
                    num_outputs, scratch);
  finish(op, output.rows, &block);
}
