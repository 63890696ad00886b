#include "native/engine/window-operator.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/costs.h"
#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/kernels/zero-sums.h"
#include "native/engine/plane.h"
#include "native/engine/row-flags.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "native/engine/window-table.h"
#include "native/engine/window-tasks.h"
#include "native/engine/window.h"
#include "pthreadpool.h"
#include "xnnpack/allocator.h"
#include "xnnpack/common.h"
#include "xnnpack/compute.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/microkernel-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

// Upstream's rule for how finely rows are split between threads.
static const size_t kTilesPerThread = 5;

// The kernel that skips dead taps; NULL if there is none for the operator's
// weights and tiles.
static const struct tile_kernel* find_kernel(const struct xnn_operator* op,
                                             size_t mr) {
  const struct row_plan* plan = op->row_state->plan;
  return window_can_skip_taps(&plan->window)
             ? tile_kernel_find(
                   live_tap_kernels,
                   (struct tile_format){
                       .type =
                           plan->datatype == xnn_datatype_fp32    ? tile_float32
                           : plan->datatype == xnn_datatype_qint8 ? tile_int8
                                                                  : tile_other,
                       .mr = mr,
                       .nr = op->ukernel.igemm.nr,
                       .kr = op->ukernel.igemm.kr,
                       .sr = op->ukernel.igemm.sr,
                   })
             : NULL;
}

// Whether a kernel that skips dead taps is faster than upstream's.
static bool kernel_pays(const struct xnn_operator* op,
                        const struct tile_kernel* kernel) {
  const struct row_plan* plan = op->row_state->plan;
  const size_t num_tiles =
      divide_round_up(row_plan_computed_rows(plan), kernel->format.mr);
  double share = 0;
  for (size_t tile = 0; tile < num_tiles; tile++) {
    share += tile_kernel_share(kernel, op->row_state->table->live_taps[tile],
                               window_num_taps(&plan->window),
                               op->context.igemm.igemm.kc);
  }
  return skipping_taps_pays(share / (double)num_tiles);
}

// Finds what rows of zeros add. Returns false when out of memory.
static bool sum_zeros(const struct xnn_operator* op) {
  struct row_state* state = op->row_state;
  const struct igemm_context* context = &op->context.igemm.igemm;
  const struct tile_format* format = &state->kernel->format;
  const size_t num_channels = op->group_output_channels;
  const size_t group_sums =
      context->ks * zero_sums_stride(format, num_channels);
  state->zero_sums_bytes = op->groups * group_sums * sizeof(int32_t);
  state->zero_sums = xnn_allocate_memory(state->zero_sums_bytes);
  for (size_t g = 0; g < op->groups && state->zero_sums != NULL; g++) {
    const struct packed_int8 packed = {
        .weights = (const void*)((uintptr_t)context->packed_w +
                                 g * context->gw_stride),
        .num_taps = context->ks,
        .row_bytes = context->kc,
        .num_channels = num_channels,
    };
    zero_sums_write(
        format, &packed,
        (int8_t)state->plan->input_zero + state->kernel->input_offset,
        state->zero_sums + g * group_sums);
  }
  return state->zero_sums != NULL;
}

// Finds which rows the operator reads. Returns false when out of memory.
static bool find_table(struct xnn_operator* op, size_t tile_rows, size_t slack,
                       bool has_live_taps) {
  const struct row_plan* plan = op->row_state->plan;
  const struct window_table_key key = {
      .window = plan->window,
      .input = plan->input,
      .output = plan->output,
      .row_bytes = plan->input_row_bytes,
      .zero = plan->input_zero,
      .tile_rows = tile_rows,
      .slack = slack,
      .has_live_taps = has_live_taps,
  };
  // The old one is left last: mostly it is the same.
  struct window_table* old = op->row_state->table;
  op->row_state->table = window_table_get(op->tables, &key);
  if (old != NULL) {
    shared_tables_leave(op->tables, &old->shared);
  }
  if (op->row_state->table == NULL) {
    xnn_log_error("failed to allocate which rows windows read");
    return false;
  }
  op->last_input = window_table_base(op->row_state->table);
  return true;
}

static enum xnn_status create_window_operator(
    const struct xnn_node* node, const struct xnn_value* values,
    size_t num_values, struct xnn_operator_data* opdata,
    struct xnn_code_cache* code_cache, xnn_weights_cache_t weights_cache) {
  const struct row_plan* plan = node->row_plan;
  const bool is_dense = row_plan_is_dense(plan);
  struct xnn_node upstream_node = *node;
  if (!is_dense) {
    // The indirection buffer holds what no later pass could derive again.
    upstream_node.flags &= ~(uint32_t)XNN_FLAG_TRANSIENT_INDIRECTION_BUFFER;
    if (node->type != xnn_node_type_max_pooling_2d) {
      upstream_node.flags |= XNN_FLAG_ROW_INDIRECTION;
    }
  }
  enum xnn_status status = plan->create(&upstream_node, values, num_values,
                                        opdata, code_cache, weights_cache);
  if (status != xnn_status_success) {
    return status;
  }
  struct xnn_operator* op = opdata->operator_objects[0];
  if (!row_state_create(op, plan)) {
    return xnn_status_out_of_memory;
  }
  if (is_dense) {
    return xnn_status_success;
  }
  op->kernel_height = 1;
  op->kernel_width = (uint32_t)window_num_taps(&plan->window);
  op->stride_height = 1;
  op->stride_width = op->kernel_width;
  op->dilation_height = 1;
  op->dilation_width = 1;
  op->padding_top = 0;
  op->padding_right = 0;
  op->padding_bottom = 0;
  op->padding_left = 0;
  op->flags &= ~(uint32_t)XNN_FLAG_TENSORFLOW_SAME_PADDING;
  // Tables have zero rows of their own.
  xnn_release_simd_memory(op->zero_buffer);
  op->zero_buffer = NULL;
  return xnn_status_success;
}

// Has a task compute the rows of each batch element, in as many pieces as keep
// all threads busy.
static void run_by_rows(struct compute_parameters* compute,
                        pthreadpool_task_2d_tile_1d_t task, size_t batch_size,
                        size_t num_rows, pthreadpool_t threadpool) {
  const size_t num_threads = pthreadpool_get_threads_count(threadpool);
  compute->type = xnn_parallelization_type_2d_tile_1d;
  compute->task_2d_tile_1d = task;
  compute->range[0] = batch_size;
  compute->range[1] = num_rows;
  compute->tile[0] =
      num_threads == 1
          ? num_rows
          : divide_round_up(num_rows, num_threads * kTilesPerThread);
}

static bool finish_igemm(struct xnn_operator* op, size_t batch_size,
                         pthreadpool_t threadpool) {
  struct row_state* state = op->row_state;
  const struct row_plan* plan = state->plan;
  struct igemm_context* context = &op->context.igemm.igemm;
  const size_t mr = op->compute[0].tile[0];
  const struct tile_kernel* kernel = find_kernel(op, mr);
  if (!find_table(op, mr, /*slack=*/0, kernel != NULL)) {
    return false;
  }
  state->kernel = kernel != NULL && kernel_pays(op, kernel) ? kernel : NULL;
  if (state->kernel != NULL && kernel->format.type == tile_int8 &&
      state->zero_sums == NULL && !sum_zeros(op)) {
    xnn_log_error("failed to allocate what zeros add");
    return false;
  }
  context->indirect_a = state->table->pointers;
  context->zero = state->table->zero_row;
  context->ba_stride = row_plan_input_rows(plan) * plan->input_row_bytes;
  context->bc_stride = row_plan_output_rows(plan) * plan->output_row_bytes;
  const struct gemm_extent extent = {
      .num_groups = op->groups,
      .num_channels = op->group_output_channels,
      .num_batches = batch_size,
      .num_rows = row_plan_computed_rows(plan),
      .mr = mr,
      .nr = op->ukernel.igemm.nr,
      .channel_bytes = context->w_stride,
  };
  gemm_loops_set(op, &op->compute[0], &extent, window_run_convolution,
                 threadpool);
  return true;
}

static bool finish_dwconv(struct xnn_operator* op,
                          struct xnn_operator_data* opdata, size_t batch_size,
                          pthreadpool_t threadpool) {
  const struct row_plan* plan = op->row_state->plan;
  struct dwconv_context* context = &op->context.dwconv.dwconv;
  const size_t num_rows = row_plan_computed_rows(plan);
  // Kernels of a larger tile read, but multiply by zero, what follows.
  const size_t slack =
      op->ukernel.dwconv.tile_size - window_num_taps(&plan->window);
  if (!find_table(op, /*tile_rows=*/0, slack, /*has_live_taps=*/false)) {
    return false;
  }
  const struct window_table* table = op->row_state->table;
  context->zero = table->zero_row;
  context->input_batch_stride =
      row_plan_input_rows(plan) * plan->input_row_bytes;
  context->output_batch_stride =
      row_plan_output_rows(plan) * plan->output_row_bytes;

  run_by_rows(&op->compute[0],
              (pthreadpool_task_2d_tile_1d_t)window_task_dwconv, batch_size,
              num_rows, threadpool);
  if (op->ukernel.dwconv.last_tile != 0) {
    opdata->workspace_size = batch_size *
                             divide_round_up(num_rows, op->compute[0].tile[0]) *
                             context->buffer_size;
    opdata->workspace_alignment = XNN_ALLOCATION_ALIGNMENT;
  }
  return true;
}

static bool finish_max_pooling(struct xnn_operator* op, size_t batch_size,
                               pthreadpool_t threadpool) {
  const struct row_plan* plan = op->row_state->plan;
  struct max_pooling_context* context = &op->context.max_pooling;
  if (!find_table(op, /*tile_rows=*/0, /*slack=*/0, /*has_live_taps=*/false)) {
    return false;
  }
  context->input_batch_stride =
      row_plan_input_rows(plan) * plan->input_row_bytes;
  context->output_batch_stride =
      row_plan_output_rows(plan) * plan->output_row_bytes;

  run_by_rows(&op->compute[0],
              (pthreadpool_task_2d_tile_1d_t)window_task_max_pooling,
              batch_size, row_plan_computed_rows(plan), threadpool);
  return true;
}

// Has the operator zero the masked pixels: block by block, or in a task that it
// appends to the operator's.
static void zero_masked_pixels(struct xnn_operator* op, size_t batch_size,
                               pthreadpool_t threadpool) {
  struct row_state* state = op->row_state;
  if (row_plan_is_dense(state->plan)) {
    op->gemm_loops.run = NULL;
    xnn_reorder_gemm_loops(op, threadpool);
  }
  if (op->gemm_loops.run != NULL) {
    state->run_all = op->gemm_loops.run;
    op->gemm_loops.run = window_run_and_zero;
    return;
  }
  struct compute_parameters* compute = &op->compute[0];
  while (compute->type != xnn_parallelization_type_invalid &&
         compute->task_2d_tile_1d !=
             (pthreadpool_task_2d_tile_1d_t)window_task_zero) {
    compute++;
  }
  const struct row_set* rows = state->plan->zeroed_outside;
  const size_t num_masked = (size_t)rows->height * rows->width - rows->count;
  run_by_rows(compute, (pthreadpool_task_2d_tile_1d_t)window_task_zero,
              batch_size, num_masked, threadpool);
}

static enum xnn_status reshape_rows(struct xnn_operator_data* opdata,
                                    struct xnn_value* values, size_t num_values,
                                    pthreadpool_t threadpool) {
  struct xnn_operator* op = opdata->operator_objects[0];
  const struct row_plan* plan = op->row_state->plan;
  struct xnn_value* input = &values[opdata->inputs[0]];
  struct xnn_value* output = &values[opdata->outputs[0]];
  const size_t batch_size = input->shape.dim[0];
  const struct xnn_shape input_shape = input->shape;
  const size_t output_size = output->size;
  const size_t workspace_size = opdata->workspace_size;
  const size_t num_pointers =
      row_plan_computed_rows(plan) * window_num_taps(&plan->window);
  input->shape.dim[1] = 1;
  input->shape.dim[2] = num_pointers;
  // An indirection buffer of upstream's would be as large as ours.
  op->last_input_height = 1;
  op->last_input_width = num_pointers;
  enum xnn_status status =
      plan->reshape(opdata, values, num_values, threadpool);
  input->shape = input_shape;
  output->size = output_size;
  if (status != xnn_status_success &&
      status != xnn_status_reallocation_required) {
    return status;
  }
  status =
      row_plan_set_output_shape(plan, batch_size, output->shape.dim[3], output);
  if (batch_size == 0) {
    return status;
  }

  const bool is_finished =
      opdata->type == xnn_node_type_max_pooling_2d
          ? finish_max_pooling(op, batch_size, threadpool)
      : op->ukernel.type == xnn_microkernel_type_dwconv
          ? finish_dwconv(op, opdata, batch_size, threadpool)
          : finish_igemm(op, batch_size, threadpool);
  if (!is_finished) {
    return xnn_status_out_of_memory;
  }
  return opdata->workspace_size > workspace_size
             ? xnn_status_reallocation_required
             : status;
}

static enum xnn_status reshape_window_operator(struct xnn_operator_data* opdata,
                                               struct xnn_value* values,
                                               size_t num_values,
                                               pthreadpool_t threadpool) {
  struct xnn_operator* op = opdata->operator_objects[0];
  const struct row_plan* plan = op->row_state->plan;
  const struct xnn_value* input = &values[opdata->inputs[0]];
  enum xnn_status status = row_plan_check_input(plan, input);
  if (status != xnn_status_success) {
    return status;
  }
  status = row_plan_is_dense(plan)
               ? plan->reshape(opdata, values, num_values, threadpool)
               : reshape_rows(opdata, values, num_values, threadpool);
  if (plan->zeroed_outside != NULL && input->shape.dim[0] != 0 &&
      (status == xnn_status_success ||
       status == xnn_status_reallocation_required)) {
    zero_masked_pixels(op, input->shape.dim[0], threadpool);
  }
  return status;
}

void window_operator_attach(struct xnn_node* node, struct row_plan* plan) {
  plan->create = node->create;
  plan->reshape = node->reshape;
  node->row_plan = plan;
  node->create = create_window_operator;
  node->reshape = reshape_window_operator;
}
