#include "native/engine/rewrite.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/layout.h"
#include "native/engine/node-role.h"
#include "native/engine/plane.h"
#include "native/engine/row-analysis.h"
#include "native/engine/row-copy-operator.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/window-operator.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/subgraph.h"

enum { kNoCopy = UINT32_MAX };

// A value in another form, made by a row copy.
struct copied_value {
  const struct row_set* rows;
  uint32_t copy;
  // Index of the source's next copy, or kNoCopy.
  uint32_t next;
};

struct rewrite {
  const struct row_analysis* analysis;
  const enum value_form* forms;
  xnn_subgraph_t subgraph;
  struct row_plan** plans;

  // The new node list, in execution order.
  struct xnn_node* nodes;
  uint32_t num_nodes;
  // The value that takes each original one's place, or itself. Nodes name the
  // original until all are rewritten.
  uint32_t* replacement;
  // Set outside of which each original value's tensor holds zeros.
  const struct row_set** nonzero;
  // First copy of each original value, or kNoCopy.
  uint32_t* first_copy;
  struct copied_value* copies;
  uint32_t num_copies;
};

static const struct row_set* stored_rows(const struct rewrite* rewrite,
                                         uint32_t v) {
  return rewrite->forms[v] == value_form_compact ? rewrite->analysis->rows[v]
                                                 : NULL;
}

static struct row_plan* new_plan(struct rewrite* rewrite) {
  struct row_plan* plan = xnn_allocate_zero_memory(sizeof(struct row_plan));
  if (plan != NULL) {
    plan->next = *rewrite->plans;
    *rewrite->plans = plan;
  }
  return plan;
}

static struct xnn_node* append_node(struct rewrite* rewrite) {
  struct xnn_node* node = &rewrite->nodes[rewrite->num_nodes];
  node->id = rewrite->num_nodes++;
  return node;
}

// Appends a copy of value v, as it is stored, to value `target`, stored as
// `rows`.
static enum xnn_status append_row_copy(struct rewrite* rewrite, uint32_t v,
                                       uint32_t target,
                                       const struct row_set* rows) {
  struct row_plan* plan = new_plan(rewrite);
  if (plan == NULL) {
    return xnn_status_out_of_memory;
  }
  const struct xnn_value* value = &rewrite->subgraph->values[target];
  row_plan_describe(plan, value, value);
  plan->window = window_identity(value_plane(value));
  plan->input = stored_rows(rewrite, v);
  plan->output = rows;
  row_copy_operator_define(v, target, append_node(rewrite), plan);
  return xnn_status_success;
}

// The value that stands for `id` in the end.
static uint32_t resolve(struct rewrite* rewrite, uint32_t id) {
  uint32_t target = id;
  while (target < rewrite->analysis->num_values &&
         rewrite->replacement[target] != target) {
    target = rewrite->replacement[target];
  }
  // Later calls find it at once.
  while (id != target) {
    const uint32_t next = rewrite->replacement[id];
    rewrite->replacement[id] = target;
    id = next;
  }
  return target;
}

// Finds or makes value v in the form `rows` (NULL for dense).
static enum xnn_status value_in_form(struct rewrite* rewrite, uint32_t v,
                                     const struct row_set* rows, uint32_t* id) {
  *id = v;
  if (stored_rows(rewrite, v) == rows) {
    return xnn_status_success;
  }
  for (uint32_t i = rewrite->first_copy[v]; i != kNoCopy;
       i = rewrite->copies[i].next) {
    if (rewrite->copies[i].rows == rows) {
      *id = rewrite->copies[i].copy;
      return xnn_status_success;
    }
  }
  struct xnn_value* copy = xnn_subgraph_new_internal_value(rewrite->subgraph);
  if (copy == NULL) {
    return xnn_status_out_of_memory;
  }
  xnn_value_copy(copy, &rewrite->subgraph->values[resolve(rewrite, v)]);
  copy->flags = 0;
  copy->data = NULL;
  copy->allocation_type = xnn_allocation_type_workspace;
  *id = copy->id;
  rewrite->copies[rewrite->num_copies] = (struct copied_value){
      .rows = rows, .copy = copy->id, .next = rewrite->first_copy[v]};
  rewrite->first_copy[v] = rewrite->num_copies++;
  return append_row_copy(rewrite, v, copy->id, rows);
}

static bool can_be_replaced(struct rewrite* rewrite, uint32_t v) {
  const struct xnn_value* value =
      &rewrite->subgraph->values[resolve(rewrite, v)];
  return xnn_value_is_internal(value) && !xnn_value_is_static(value) &&
         value->producer != XNN_INVALID_NODE_ID;
}

// Appends node n with the inputs in `form`; inputs that are equal for all
// pixels stay as they are.
static enum xnn_status append_with_inputs(struct rewrite* rewrite, size_t n,
                                          const struct row_set* form,
                                          struct xnn_node** appended) {
  struct xnn_node node = rewrite->subgraph->nodes[n];
  for (size_t i = 0; i < node.num_inputs; i++) {
    const uint32_t v = node.inputs[i];
    if (v == XNN_INVALID_VALUE_ID) {
      continue;
    }
    const bool has_rows = value_has_plane(&rewrite->subgraph->values[v]);
    const enum xnn_status status = value_in_form(
        rewrite, v, has_rows ? form : stored_rows(rewrite, v), &node.inputs[i]);
    if (status != xnn_status_success) {
      return status;
    }
  }
  *appended = append_node(rewrite);
  node.id = (*appended)->id;
  **appended = node;
  return xnn_status_success;
}

static enum xnn_status rewrite_elementwise(struct rewrite* rewrite, size_t n) {
  const struct xnn_node* node = &rewrite->subgraph->nodes[n];
  const struct row_set* nonzero;
  if (!row_analysis_nonzero_output(rewrite->analysis, n, rewrite->nonzero,
                                   &nonzero)) {
    return xnn_status_out_of_memory;
  }
  const struct row_set* form = stored_rows(rewrite, node->outputs[0]);
  for (size_t i = 0; i < node->num_outputs; i++) {
    rewrite->nonzero[node->outputs[i]] = form != NULL ? form : nonzero;
  }
  struct xnn_node* appended;
  return append_with_inputs(rewrite, n, form, &appended);
}

// The pixels of a value that are not zeroed if every row is computed: its rows,
// and what nothing reads.
static bool find_unzeroed(const struct rewrite* rewrite, uint32_t v,
                          const struct row_set** unzeroed) {
  const struct row_analysis* analysis = rewrite->analysis;
  const struct row_set* rows = analysis->rows[v];
  const struct row_set* reads = analysis->reads[v];
  if (reads == NULL) {
    *unzeroed = rows;
    return true;
  }
  const size_t pixels = (size_t)rows->height * rows->width;
  uint8_t* kept = xnn_allocate_memory(pixels);
  if (kept == NULL) {
    return false;
  }
  for (size_t p = 0; p < pixels; p++) {
    kept[p] = row_set_has(rows, p) || !row_set_has(reads, p);
  }
  const bool ok =
      row_set_intern(analysis->pool, kept, rows->height, rows->width, unzeroed);
  xnn_release_memory(kept);
  return ok;
}

static enum xnn_status rewrite_window(struct rewrite* rewrite, size_t n) {
  const struct xnn_node* node = &rewrite->subgraph->nodes[n];
  const uint32_t input = node->inputs[0];
  const uint32_t output = node->outputs[0];
  const struct row_set* input_rows = stored_rows(rewrite, input);
  const struct row_set* output_rows = rewrite->analysis->rows[output];
  const enum value_form form = rewrite->forms[output];
  // Where something reads it: elsewhere it may be anything.
  rewrite->nonzero[output] = output_rows;

  const struct row_set* unzeroed = NULL;
  if (form == value_form_zeroed && !find_unzeroed(rewrite, output, &unzeroed)) {
    return xnn_status_out_of_memory;
  }
  struct xnn_node* appended;
  enum xnn_status status =
      append_with_inputs(rewrite, n, input_rows, &appended);
  const bool computes_all =
      form == value_form_dense || form == value_form_zeroed;
  const bool runs_unchanged =
      (input_rows == NULL && computes_all && unzeroed == NULL) ||
      (input_rows == output_rows && form == value_form_compact &&
       node_is_pointwise(rewrite->subgraph->values, node));
  if (status != xnn_status_success || runs_unchanged) {
    return status;
  }
  struct row_plan* plan = new_plan(rewrite);
  if (plan == NULL) {
    return xnn_status_out_of_memory;
  }
  const struct xnn_value* values = rewrite->subgraph->values;
  row_plan_describe(plan, &values[input], &values[output]);
  plan->window = node_window(values, node);
  plan->input = input_rows;
  plan->output = form == value_form_zeroed ? NULL : output_rows;
  plan->scatter = form == value_form_scatter;
  plan->inserts_zeros =
      !row_set_is_subset(rewrite->analysis->reads[output], output_rows);
  plan->zeroed_outside = unzeroed;
  window_operator_attach(appended, plan);
  return xnn_status_success;
}

static enum xnn_status rewrite_mask(struct rewrite* rewrite, size_t n) {
  const struct node_analysis* facts = &rewrite->analysis->nodes[n];
  const uint32_t input = facts->multiply.input_id;
  const uint32_t output = rewrite->subgraph->nodes[n].outputs[0];
  const struct row_set* form = stored_rows(rewrite, output);
  const struct row_set* input_form = stored_rows(rewrite, input);
  const bool is_masked_already =
      row_set_is_subset(rewrite->nonzero[input], facts->mask);
  if (is_masked_already && form == input_form &&
      can_be_replaced(rewrite, input)) {
    rewrite->nonzero[output] = rewrite->nonzero[input];
    rewrite->replacement[resolve(rewrite, input)] = output;
    return xnn_status_success;
  }
  if (form != NULL || (is_masked_already && input_form != NULL)) {
    rewrite->nonzero[output] = form != NULL ? form : rewrite->nonzero[input];
    return append_row_copy(rewrite, input, output, form);
  }
  return rewrite_elementwise(rewrite, n);
}

static enum xnn_status rewrite_opaque(struct rewrite* rewrite, size_t n) {
  struct xnn_node* appended;
  return append_with_inputs(rewrite, n, /*form=*/NULL, &appended);
}

static enum xnn_status rewrite_nodes(struct rewrite* rewrite) {
  for (uint32_t n = 0; n < rewrite->subgraph->num_nodes; n++) {
    if (rewrite->subgraph->nodes[n].type == xnn_node_type_invalid) {
      continue;
    }
    enum xnn_status status = xnn_status_success;
    switch (rewrite->analysis->nodes[n].role) {
      case node_role_opaque:
        status = rewrite_opaque(rewrite, n);
        break;
      case node_role_elementwise:
        status = rewrite_elementwise(rewrite, n);
        break;
      case node_role_window:
        status = rewrite_window(rewrite, n);
        break;
      case node_role_mask:
        status = rewrite_mask(rewrite, n);
        break;
    }
    if (status != xnn_status_success) {
      return status;
    }
  }
  return xnn_status_success;
}

static void set_compact_shape(struct xnn_value* value,
                              const struct row_set* rows) {
  value->shape.dim[1] = 1;
  value->shape.dim[2] = rows->count;
  value->size = xnn_tensor_get_size(value);
}

static void finish_nodes(struct rewrite* rewrite) {
  for (uint32_t n = 0; n < rewrite->num_nodes; n++) {
    struct xnn_node* node = &rewrite->nodes[n];
    for (size_t i = 0; i < node->num_inputs; i++) {
      node->inputs[i] = resolve(rewrite, node->inputs[i]);
    }
    for (size_t i = 0; i < node->num_outputs; i++) {
      node->outputs[i] = resolve(rewrite, node->outputs[i]);
    }
  }
}

// Values keep their dense shapes, and replaced ones exist, until all nodes are
// rewritten: the analysis refers to them.
static void finish_values(const struct rewrite* rewrite) {
  struct xnn_value* values = rewrite->subgraph->values;
  for (uint32_t v = 0; v < rewrite->analysis->num_values; v++) {
    if (rewrite->replacement[v] != v) {
      xnn_value_clear(&values[v]);
    } else if (rewrite->forms[v] == value_form_compact) {
      set_compact_shape(&values[v], rewrite->analysis->rows[v]);
    }
  }
  for (uint32_t i = 0; i < rewrite->num_copies; i++) {
    if (rewrite->copies[i].rows != NULL) {
      set_compact_shape(&values[rewrite->copies[i].copy],
                        rewrite->copies[i].rows);
    }
  }
}

static size_t most_row_copies(const struct xnn_subgraph* subgraph) {
  size_t count = 1;
  for (uint32_t n = 0; n < subgraph->num_nodes; n++) {
    count += subgraph->nodes[n].num_inputs;
  }
  return count;
}

enum xnn_status rewrite_run(const struct row_analysis* analysis,
                            const enum value_form* forms,
                            struct row_plan** plans) {
  xnn_subgraph_t subgraph = analysis->subgraph;
  const size_t most_copies = most_row_copies(subgraph);
  const size_t most_nodes = subgraph->num_nodes + most_copies;
  const size_t num_values = max(analysis->num_values, 1);
  struct rewrite rewrite = {
      .analysis = analysis,
      .forms = forms,
      .subgraph = subgraph,
      .plans = plans,
      .nodes = xnn_allocate_zero_memory(most_nodes * sizeof(struct xnn_node)),
      .replacement = xnn_allocate_memory(num_values * sizeof(uint32_t)),
      .nonzero = xnn_allocate_zero_memory(num_values * sizeof(struct row_set*)),
      .first_copy = xnn_allocate_memory(num_values * sizeof(uint32_t)),
      .copies = xnn_allocate_memory(most_copies * sizeof(struct copied_value)),
  };
  enum xnn_status status = xnn_status_out_of_memory;
  if (rewrite.nodes != NULL && rewrite.replacement != NULL &&
      rewrite.nonzero != NULL && rewrite.first_copy != NULL &&
      rewrite.copies != NULL) {
    for (uint32_t v = 0; v < analysis->num_values; v++) {
      rewrite.replacement[v] = v;
      rewrite.first_copy[v] = kNoCopy;
    }
    status = rewrite_nodes(&rewrite);
  }
  if (status == xnn_status_success) {
    finish_nodes(&rewrite);
    finish_values(&rewrite);
    xnn_release_memory(subgraph->nodes);
    subgraph->nodes = rewrite.nodes;
    subgraph->num_nodes = rewrite.num_nodes;
    subgraph->num_reserved_nodes = (uint32_t)most_nodes;
  } else {
    xnn_release_memory(rewrite.nodes);
  }
  xnn_release_memory(rewrite.replacement);
  xnn_release_memory(rewrite.nonzero);
  xnn_release_memory(rewrite.first_copy);
  xnn_release_memory(rewrite.copies);
  return status;
}
