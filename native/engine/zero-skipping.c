#include "native/engine/zero-skipping.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/sparsity.h"
#include "native/engine/zero-product.h"
#include "native/engine/zero-readers.h"
#include "native/engine/zero-state.h"
#include "native/engine/zero-tasks.h"
#include "native/engine/zeros/nonzero-block.h"
#include "pthreadpool.h"
#include "xnnpack/allocator.h"
#include "xnnpack/compute.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/node-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

// Upstream's rule for how finely work is split between threads.
static const size_t kTasksPerThread = 5;

// The invocation that multiplies: the first that is cut in two dimensions.
static size_t find_dense(const struct xnn_operator* op) {
  size_t i = 0;
  while (op->compute[i].type == xnn_parallelization_type_1d_tile_1d) {
    i++;
  }
  return i;
}

static void add_invocations(struct zero_skipping* skipping,
                            size_t num_threads) {
  struct xnn_operator* op = skipping->op;
  const struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t dense = find_dense(op);
  struct compute_parameters* look = &op->compute[dense];
  enum { kOurs = 3 };
  memmove(look + kOurs, look,
          (XNN_MAX_COMPUTE_INVOCATIONS - kOurs - dense) * sizeof(*look));
  skipping->find = look + 1;
  skipping->multiply = look + 2;
  skipping->dense = look + kOurs;
  skipping->dense_type = skipping->dense->type;
  *look = (struct compute_parameters){
      .type = xnn_parallelization_type_1d,
      .task_1d = zero_task_look,
      .range = {1},
  };
  *skipping->find = (struct compute_parameters){
      .type = xnn_parallelization_type_invalid,
      .task_1d_tile_1d = zero_task_find,
      .range = {skipping->num_stored_rows},
      .tile = {divide_round_up(skipping->num_stored_rows,
                               num_threads * kTasksPerThread)},
  };
  *skipping->multiply = (struct compute_parameters){
      .type = xnn_parallelization_type_invalid,
      .task_3d_tile_1d_with_thread = zero_task_multiply,
      .range = {skipping->num_batches * skipping->num_groups,
                divide_round_up(gemm->num_outputs, skipping->outputs_per_task),
                skipping->num_rows},
      .tile = {skipping->rows_per_block},
  };
}

static enum xnn_status reshape(struct xnn_operator_data* opdata,
                               struct xnn_value* values, size_t num_values,
                               pthreadpool_t threadpool) {
  struct xnn_operator* op = opdata->operator_objects[0];
  struct zero_skipping* skipping = op->zero_skipping;
  const size_t old_workspace_size = opdata->workspace_size;
  // What follows expects invocations as it left them.
  memset(op->compute, 0, sizeof(op->compute));
  opdata->workspace_size = 0;
  enum xnn_status status =
      skipping->reshape(opdata, values, num_values, threadpool);
  if ((status != xnn_status_success &&
       status != xnn_status_reallocation_required) ||
      op->state == xnn_run_state_skip || skipping->obstacle != NULL ||
      skipping->mode == xnn_zeros_mode_never ||
      zero_product_obstacle_of_shape(op) != NULL) {
    skipping->skips = false;
    skipping->workspace_bytes = 0;
    return status;
  }
  xnn_reorder_gemm_loops(op, threadpool);
  zero_product_describe(skipping, &values[opdata->inputs[0]]);
  if (!skipping->are_weights_checked) {
    skipping->are_weights_checked = true;
    if (!zero_product_has_finite_weights(skipping)) {
      skipping->obstacle = "a weight is infinite or NaN";
      return status;
    }
  }
  const size_t num_threads = pthreadpool_get_threads_count(threadpool);
  if (!zero_product_cut(skipping, num_threads)) {
    xnn_log_error("failed to allocate who reads which rows of a convolution");
    return xnn_status_out_of_memory;
  }
  add_invocations(skipping, num_threads);

  const size_t alignment = XNN_ALLOCATION_ALIGNMENT;
  skipping->scratch_bytes = round_up_po2(skipping->scratch_bytes, alignment);
  skipping->workspace_bytes =
      skipping->num_stored_rows * skipping->lists_stride + alignment +
      num_threads * skipping->scratch_bytes;
  skipping->workspace_offset = round_up_po2(opdata->workspace_size, alignment);
  opdata->workspace_size =
      skipping->workspace_offset + skipping->workspace_bytes;
  opdata->workspace_alignment = alignment;
  return opdata->workspace_size > old_workspace_size
             ? xnn_status_reallocation_required
             : status;
}

static enum xnn_status setup(const struct xnn_operator_data* opdata,
                             const struct xnn_value* values, size_t num_values,
                             pthreadpool_t threadpool) {
  struct zero_skipping* skipping = opdata->operator_objects[0]->zero_skipping;
  skipping->workspace = zero_at(opdata->workspace, skipping->workspace_offset);
  return skipping->setup(opdata, values, num_values, threadpool);
}

static bool multiplies(enum xnn_node_type type) {
  return type == xnn_node_type_convolution_2d ||
         type == xnn_node_type_depthwise_convolution_2d ||
         type == xnn_node_type_fully_connected;
}

enum xnn_status xnn_skip_zeros(const struct xnn_node* node,
                               enum xnn_zeros_mode mode,
                               struct xnn_operator_data* opdata) {
  if (!multiplies(node->type)) {
    return xnn_status_success;
  }
  struct xnn_operator* op = opdata->operator_objects[0];
  struct zero_skipping* skipping =
      xnn_allocate_zero_memory(sizeof(struct zero_skipping));
  if (skipping == NULL) {
    xnn_log_error("failed to allocate %zu bytes to skip zeros",
                  sizeof(struct zero_skipping));
    return xnn_status_out_of_memory;
  }
  *skipping = (struct zero_skipping){
      .mode = mode,
      .op = op,
      .reshape = opdata->reshape,
      .setup = opdata->setup,
      .obstacle = zero_product_obstacle(op),
  };
  op->zero_skipping = skipping;
  if (skipping->obstacle == NULL && mode != xnn_zeros_mode_never) {
    opdata->reshape = reshape;
    opdata->setup = setup;
  }
  return xnn_status_success;
}

void xnn_zero_skipping_release(struct xnn_operator* op) {
  if (op->zero_skipping != NULL) {
    zero_readers_release(op->zero_skipping);
    xnn_release_memory(op->zero_skipping);
  }
}
