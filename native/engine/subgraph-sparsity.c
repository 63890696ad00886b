#include "native/engine/subgraph-sparsity.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "native/engine/layout.h"
#include "native/engine/masked-layers.h"
#include "native/engine/rewrite.h"
#include "native/engine/row-analysis.h"
#include "native/engine/row-order.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/row-state.h"
#include "native/engine/shared-table.h"
#include "native/engine/sparsity.h"
#include "native/engine/threshold.h"
#include "native/engine/window-table.h"
#include "xnnpack/allocator.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

struct xnn_sparsity {
  // Runtimes may be deleted from any thread.
  atomic_size_t ref_count;
  struct row_set_pool pool;
  struct row_plan* plans;
  struct xnn_masked_layer* layers;
  size_t num_layers;
};

struct xnn_sparsity* xnn_sparsity_retain(struct xnn_sparsity* sparsity) {
  if (sparsity != NULL) {
    sparsity->ref_count++;
  }
  return sparsity;
}

void xnn_sparsity_release(struct xnn_sparsity* sparsity) {
  if (sparsity == NULL || --sparsity->ref_count != 0) {
    return;
  }
  while (sparsity->plans != NULL) {
    struct row_plan* plan = sparsity->plans;
    sparsity->plans = plan->next;
    xnn_release_memory(plan);
  }
  row_set_pool_release(&sparsity->pool);
  xnn_release_memory(sparsity->layers);
  xnn_release_memory(sparsity);
}

void xnn_operator_share_tables(struct xnn_operator* op,
                               struct shared_tables* tables) {
  if (op != NULL) {
    op->tables = tables;
  }
}

static enum xnn_status use_masks(const struct row_analysis* analysis,
                                 struct xnn_sparsity* sparsity) {
  const enum xnn_sparsity_mode mode = analysis->subgraph->sparsity_mode;
  sparsity->num_layers = masked_layers_count(analysis);
  sparsity->layers = xnn_allocate_zero_memory(max(sparsity->num_layers, 1) *
                                              sizeof(struct xnn_masked_layer));
  enum value_form* forms = xnn_allocate_zero_memory(
      max(analysis->num_values, 1) * sizeof(enum value_form));
  enum xnn_status status = xnn_status_out_of_memory;
  if (sparsity->layers != NULL && forms != NULL &&
      layout_choose(analysis, forms) && row_order_choose(analysis, forms) &&
      masked_layers_describe(analysis, forms, sparsity->layers)) {
    status = mode == xnn_sparsity_mode_off
                 ? xnn_status_success
                 : rewrite_run(analysis, forms, &sparsity->plans);
  }
  xnn_release_memory(forms);
  return status;
}

enum xnn_status xnn_subgraph_skip_masked_rows(xnn_subgraph_t subgraph) {
  if (subgraph->sparsity != NULL) {
    return xnn_status_success;
  }
  struct xnn_sparsity* sparsity =
      xnn_allocate_zero_memory(sizeof(struct xnn_sparsity));
  if (sparsity == NULL) {
    return xnn_status_out_of_memory;
  }
  sparsity->ref_count = 1;
  xnn_subgraph_analyze_consumers_and_producers(subgraph);
  threshold_fuse(subgraph);
  struct row_analysis analysis;
  enum xnn_status status = xnn_status_out_of_memory;
  bool has_masks = false;
  if (row_analysis_run(subgraph, &sparsity->pool, &analysis)) {
    has_masks = masked_layers_count(&analysis) != 0;
    status = has_masks ? use_masks(&analysis, sparsity) : xnn_status_success;
  }
  row_analysis_release(&analysis);
  if (has_masks && status == xnn_status_success) {
    subgraph->sparsity = sparsity;
    return xnn_status_success;
  }
  xnn_sparsity_release(sparsity);
  if (status != xnn_status_success) {
    xnn_log_error("failed to rewrite a subgraph by its masks: out of memory");
  }
  return status;
}

enum xnn_status xnn_subgraph_set_sparsity_mode(xnn_subgraph_t subgraph,
                                               enum xnn_sparsity_mode mode) {
  if (mode < xnn_sparsity_mode_compact || mode > xnn_sparsity_mode_off) {
    xnn_log_error("failed to set sparsity mode %d: expected 0 to 2", (int)mode);
    return xnn_status_invalid_parameter;
  }
  subgraph->sparsity_mode = mode;
  return xnn_status_success;
}

size_t xnn_runtime_get_masked_layers(xnn_runtime_t runtime,
                                     const struct xnn_masked_layer** layers) {
  const struct xnn_sparsity* sparsity = runtime->sparsity;
  *layers = sparsity == NULL ? NULL : sparsity->layers;
  return sparsity == NULL ? 0 : sparsity->num_layers;
}

void xnn_runtime_get_sparsity_memory(xnn_runtime_t runtime, size_t* arena_bytes,
                                     size_t* sparsity_bytes) {
  *arena_bytes = runtime->workspace->size;
  *sparsity_bytes = 0;
  if (runtime->sparsity == NULL) {
    return;
  }
  *sparsity_bytes = row_set_pool_bytes(&runtime->sparsity->pool) +
                    window_tables_extra_bytes(&runtime->tables);
  for (const struct row_plan* plan = runtime->sparsity->plans; plan != NULL;
       plan = plan->next) {
    *sparsity_bytes += sizeof(*plan);
  }
  for (size_t i = 0; i < runtime->num_ops; i++) {
    const struct xnn_operator* op = runtime->opdata[i].operator_objects[0];
    if (op != NULL && op->row_state != NULL) {
      *sparsity_bytes +=
          sizeof(*op->row_state) + op->row_state->zero_sums_bytes;
    }
  }
}
