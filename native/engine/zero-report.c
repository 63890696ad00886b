// What operators did about zeros, and why.

#include <stddef.h>

#include "native/engine/row-state.h"
#include "native/engine/sparsity.h"
#include "native/engine/zero-product.h"
#include "native/engine/zero-readers.h"
#include "native/engine/zero-state.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/node-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

enum xnn_status xnn_subgraph_set_zeros_mode(xnn_subgraph_t subgraph,
                                            enum xnn_zeros_mode mode) {
  if (mode < xnn_zeros_mode_auto || mode > xnn_zeros_mode_never) {
    xnn_log_error("failed to set zeros mode %d: expected 0 to 2", (int)mode);
    return xnn_status_invalid_parameter;
  }
  subgraph->zeros_mode = mode;
  return xnn_status_success;
}

static void describe(const struct xnn_operator_data* opdata,
                     struct xnn_zero_layer* layer) {
  const struct xnn_operator* op = opdata->operator_objects[0];
  const struct zero_skipping* skipping = op->zero_skipping;
  *layer = (struct xnn_zero_layer){
      .value_id = opdata->outputs[0],
      .op = xnn_node_type_to_string(opdata->type),
      .form = op->row_state != NULL && op->row_state->kernel != NULL
                  ? xnn_zero_form_tiles
                  : xnn_zero_form_dense,
      .zeros = skipping->num_looks == 0
                   ? -1.0
                   : skipping->sum_of_zeros / (double)skipping->num_looks,
      .obstacle = skipping->obstacle != NULL ? skipping->obstacle
                  : skipping->mode == xnn_zeros_mode_never
                      ? "skip_zeros is never"
                      : zero_product_obstacle_of_shape(op),
      .last_zeros = skipping->last_zeros,
      .pays_from = 1.0 - skipping->most_nonzeros,
  };
  if (layer->obstacle == NULL && skipping->skips) {
    layer->form = xnn_zero_form_zeros;
  }
}

size_t xnn_runtime_get_zero_layers(xnn_runtime_t runtime,
                                   struct xnn_zero_layer* layers,
                                   size_t capacity) {
  size_t count = 0;
  for (size_t i = 0; i < runtime->num_ops; i++) {
    const struct xnn_operator* op = runtime->opdata[i].operator_objects[0];
    if (op == NULL || op->zero_skipping == NULL) {
      continue;
    }
    if (count < capacity) {
      describe(&runtime->opdata[i], &layers[count]);
    }
    count++;
  }
  return count;
}

size_t xnn_runtime_get_list_bytes(xnn_runtime_t runtime) {
  // Lists are in the arena, where operators take turns; readers are not.
  size_t list_bytes = 0;
  for (size_t i = 0; i < runtime->num_ops; i++) {
    const struct xnn_operator* op = runtime->opdata[i].operator_objects[0];
    if (op != NULL && op->zero_skipping != NULL) {
      list_bytes = max(list_bytes, op->zero_skipping->workspace_bytes);
    }
  }
  return list_bytes + zero_readers_bytes(&runtime->tables);
}
