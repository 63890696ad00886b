#include "native/engine/row-copy-operator.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "pthreadpool.h"
#include "xnnpack/allocator.h"
#include "xnnpack/common.h"
#include "xnnpack/compute.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/node-type.h"
#include "xnnpack/operator-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

static void copy_rows(const void* context, size_t batch, size_t row_start,
                      size_t num_rows) {
  const struct xnn_operator* op = operator_of_context(context);
  const struct row_plan* plan = op->row_state->plan;
  const size_t bytes = plan->output_row_bytes;
  const uint8_t* input =
      (const uint8_t*)op->input + batch * row_plan_input_rows(plan) * bytes;
  uint8_t* output = (uint8_t*)op->output +
                    (batch * row_plan_output_rows(plan) + row_start) * bytes;
  uint32_t pixels[ROW_SET_WORD_PIXELS];
  for (size_t i = 0; i < num_rows; i++) {
    const size_t place = i % ROW_SET_WORD_PIXELS;
    if (place == 0) {
      row_set_pixels(plan->output, row_start + i,
                     min(num_rows - i, ROW_SET_WORD_PIXELS), pixels);
    }
    const uint32_t source = row_set_row(plan->input, pixels[place]);
    if (source == ROW_NONE) {
      memset(output, plan->output_zero, bytes);
    } else {
      memcpy(output, input + source * bytes, bytes);
    }
    output += bytes;
  }
}

static enum xnn_status create_row_copy(const struct xnn_node* node,
                                       const struct xnn_value* values,
                                       size_t num_values,
                                       struct xnn_operator_data* opdata,
                                       struct xnn_code_cache* code_cache,
                                       xnn_weights_cache_t weights_cache) {
  (void)values;
  (void)num_values;
  (void)code_cache;
  (void)weights_cache;
  struct xnn_operator* op =
      xnn_allocate_zero_simd_memory(sizeof(struct xnn_operator));
  if (op == NULL) {
    xnn_log_error("failed to allocate %zu bytes for a row copy operator",
                  sizeof(struct xnn_operator));
    return xnn_status_out_of_memory;
  }
  op->type = xnn_operator_type_row_copy_nhwc;
  op->flags = node->flags;
  op->state = xnn_run_state_invalid;
  opdata->operator_objects[0] = op;
  return row_state_create(op, node->row_plan) ? xnn_status_success
                                              : xnn_status_out_of_memory;
}

static enum xnn_status reshape_row_copy(struct xnn_operator_data* opdata,
                                        struct xnn_value* values,
                                        size_t num_values,
                                        pthreadpool_t threadpool) {
  (void)num_values;
  struct xnn_operator* op = opdata->operator_objects[0];
  const struct row_plan* plan = op->row_state->plan;
  const struct xnn_value* input = &values[opdata->inputs[0]];
  enum xnn_status status = row_plan_check_input(plan, input);
  if (status != xnn_status_success) {
    return status;
  }
  op->batch_size = input->shape.dim[0];
  status = row_plan_set_output_shape(plan, op->batch_size, input->shape.dim[3],
                                     &values[opdata->outputs[0]]);
  if (op->batch_size == 0) {
    op->state = xnn_run_state_skip;
    return status;
  }
  const size_t num_rows = row_plan_output_rows(plan);
  const size_t num_tasks = pthreadpool_get_threads_count(threadpool);
  op->compute[0].type = xnn_parallelization_type_2d_tile_1d;
  op->compute[0].task_2d_tile_1d = (pthreadpool_task_2d_tile_1d_t)copy_rows;
  op->compute[0].range[0] = op->batch_size;
  op->compute[0].range[1] = num_rows;
  op->compute[0].tile[0] = divide_round_up(num_rows, num_tasks);
  op->state = xnn_run_state_needs_setup;
  return status;
}

static enum xnn_status setup_row_copy(const struct xnn_operator_data* opdata,
                                      const struct xnn_value* values,
                                      size_t num_values,
                                      pthreadpool_t threadpool) {
  (void)num_values;
  (void)threadpool;
  struct xnn_operator* op = opdata->operator_objects[0];
  if (op->state == xnn_run_state_skip) {
    return xnn_status_success;
  }
  op->input = values[opdata->inputs[0]].data;
  op->output = values[opdata->outputs[0]].data;
  op->state = xnn_run_state_ready;
  return xnn_status_success;
}

void row_copy_operator_define(uint32_t input_id, uint32_t output_id,
                              struct xnn_node* node,
                              const struct row_plan* plan) {
  node->type = xnn_node_type_row_copy;
  node->inputs[0] = input_id;
  node->num_inputs = 1;
  node->outputs[0] = output_id;
  node->num_outputs = 1;
  node->row_plan = plan;
  node->create = create_row_copy;
  node->reshape = reshape_row_copy;
  node->setup = setup_row_copy;
}
