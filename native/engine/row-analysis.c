#include "native/engine/row-analysis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/mask-multiply.h"
#include "native/engine/node-role.h"
#include "native/engine/plane.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/subgraph.h"

// A window's demand leaves out at least one pixel of so many; of a sum, whose
// summands of other sets are then copied, of so many.
enum { kDemandedPart = 8, kDemandedPartOfSum = 2 };

static bool find_role(struct row_analysis* analysis, size_t n) {
  const struct xnn_value* values = analysis->subgraph->values;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  struct node_analysis* result = &analysis->nodes[n];
  result->role = node_role_opaque;
  if (node->type == xnn_node_type_invalid || node->num_outputs == 0) {
    return true;
  }
  const struct xnn_value* output = &values[node->outputs[0]];
  if (value_has_plane(output)) {
    const size_t height = output->shape.dim[1];
    const size_t width = output->shape.dim[2];
    uint8_t* kept = xnn_allocate_memory(height * width);
    if (kept == NULL) {
      return false;
    }
    result->verdict =
        mask_multiply_recognise(values, node, kept, &result->multiply);
    const bool ok = result->verdict != mask_verdict_mask ||
                    row_set_intern(analysis->pool, kept, (uint32_t)height,
                                   (uint32_t)width, &result->mask);
    xnn_release_memory(kept);
    if (!ok) {
      return false;
    }
  }
  result->role = result->verdict == mask_verdict_mask
                     ? node_role_mask
                     : node_role_of(values, node);
  return true;
}

bool row_analysis_nonzero_output(const struct row_analysis* analysis, size_t n,
                                 const struct row_set* const* nonzero,
                                 const struct row_set** output) {
  const struct xnn_value* values = analysis->subgraph->values;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  const struct node_analysis* facts = &analysis->nodes[n];
  *output = NULL;
  if (facts->role == node_role_mask) {
    return row_set_intersect(analysis->pool, nonzero[facts->multiply.input_id],
                             facts->mask, output);
  }
  if (facts->role != node_role_elementwise) {
    return true;
  }
  const enum zero_rule rule = node_zero_rule(values, node);
  if (rule == zero_rule_none) {
    return true;
  }
  bool is_first = true;
  for (size_t i = 0; i < node->num_inputs; i++) {
    if (!node_reads_rows(values, node, i)) {
      continue;
    }
    const struct row_set* input = nonzero[node->inputs[i]];
    const struct row_set* before = *output;
    if (is_first) {
      *output = input;
    } else if (!(rule == zero_rule_any
                     ? row_set_intersect(analysis->pool, before, input, output)
                     : row_set_unite(analysis->pool, before, input, output))) {
      return false;
    }
    is_first = false;
  }
  return true;
}

static bool find_support(struct row_analysis* analysis, size_t n) {
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  const struct row_set* support;
  if (!row_analysis_nonzero_output(analysis, n, analysis->support, &support)) {
    return false;
  }
  for (size_t i = 0; i < node->num_outputs; i++) {
    analysis->support[node->outputs[i]] = support;
  }
  return true;
}

static bool add_demand(struct row_analysis* analysis, uint32_t value_id,
                       const struct row_set* demand,
                       const struct row_set* reads) {
  if (!analysis->is_demanded[value_id]) {
    analysis->is_demanded[value_id] = true;
    analysis->demand[value_id] = demand;
    analysis->reads[value_id] = reads;
    return true;
  }
  return row_set_unite(analysis->pool, analysis->demand[value_id], demand,
                       &analysis->demand[value_id]) &&
         row_set_unite(&analysis->read_pool, analysis->reads[value_id], reads,
                       &analysis->reads[value_id]);
}

// The input pixels under the windows of output pixels; all if there are none.
static bool find_window_reads(const struct row_analysis* analysis,
                              struct row_set_pool* pool,
                              const struct xnn_node* node,
                              const struct row_set* output,
                              const struct row_set** reads) {
  const struct window window = node_window(analysis->subgraph->values, node);
  if (window_is_identity(&window)) {
    *reads = output;
    return true;
  }
  uint8_t* read = xnn_allocate_zero_memory(plane_pixels(window.input));
  if (read == NULL) {
    return false;
  }
  bool any = false;
  for (size_t pixel = 0; pixel < plane_pixels(window.output); pixel++) {
    if (!row_set_has(output, pixel)) {
      continue;
    }
    for (uint32_t ky = 0; ky < window.kernel_height; ky++) {
      for (uint32_t kx = 0; kx < window.kernel_width; kx++) {
        const uint32_t row =
            window_row_under_tap(&window, /*rows=*/NULL, pixel, ky, kx);
        if (row != ROW_NONE) {
          read[row] = 1;
          any = true;
        }
      }
    }
  }
  *reads = NULL;
  const bool ok = !any || row_set_intern(pool, read, window.input.height,
                                         window.input.width, reads);
  xnn_release_memory(read);
  return ok;
}

// Whether a value is computed row by row from several.
static bool is_sum(const struct row_analysis* analysis, uint32_t value_id) {
  const struct xnn_value* values = analysis->subgraph->values;
  for (;;) {
    const uint32_t n = values[value_id].producer;
    if (n == XNN_INVALID_NODE_ID ||
        (analysis->nodes[n].role != node_role_elementwise &&
         analysis->nodes[n].role != node_role_mask)) {
      return false;
    }
    const struct xnn_node* node = &analysis->subgraph->nodes[n];
    size_t num_read = 0;
    for (size_t i = 0; i < node->num_inputs; i++) {
      if (node_reads_rows(values, node, i)) {
        value_id = node->inputs[i];
        num_read++;
      }
    }
    if (num_read != 1) {
      return num_read > 1;
    }
  }
}

// Of a window node: its reads are demanded if they leave enough out. Sets that
// differ little cost copies between values with the one and the other.
static bool find_window_demand(struct row_analysis* analysis,
                               const struct xnn_node* node,
                               const struct row_set** demand,
                               const struct row_set** reads) {
  const uint32_t output = node->outputs[0];
  const struct row_set* rows;
  if (!row_set_intersect(analysis->pool, analysis->demand[output],
                         analysis->support[output], &rows) ||
      !find_window_reads(analysis, &analysis->read_pool, node, rows, reads)) {
    return false;
  }
  *demand = NULL;
  if (*reads != NULL) {
    const size_t pixels = (size_t)(*reads)->height * (*reads)->width;
    const size_t part =
        is_sum(analysis, node->inputs[0]) ? kDemandedPartOfSum : kDemandedPart;
    if ((*reads)->count <= pixels - pixels / part) {
      return find_window_reads(analysis, analysis->pool, node, rows, demand);
    }
  }
  return true;
}

// What a node that works row by row demands of its inputs.
static bool find_row_demand(struct row_analysis* analysis, size_t n,
                            const struct row_set** demand,
                            const struct row_set** reads) {
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  *demand = analysis->demand[node->outputs[0]];
  *reads = analysis->reads[node->outputs[0]];
  for (size_t i = 1; i < node->num_outputs; i++) {
    if (!row_set_unite(analysis->pool, *demand,
                       analysis->demand[node->outputs[i]], demand) ||
        !row_set_unite(&analysis->read_pool, *reads,
                       analysis->reads[node->outputs[i]], reads)) {
      return false;
    }
  }
  return analysis->nodes[n].role != node_role_mask ||
         row_set_intersect(analysis->pool, *demand, analysis->nodes[n].mask,
                           demand);
}

// What node n demands of its inputs, given what is demanded of its outputs.
static bool find_demand(struct row_analysis* analysis, size_t n) {
  const struct xnn_value* values = analysis->subgraph->values;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  const enum node_role role = analysis->nodes[n].role;
  const struct row_set* demand = NULL;
  const struct row_set* reads = NULL;
  if (role == node_role_window
          ? !find_window_demand(analysis, node, &demand, &reads)
      : role == node_role_opaque
          ? false
          : !find_row_demand(analysis, n, &demand, &reads)) {
    return false;
  }
  for (size_t i = 0; i < node->num_inputs; i++) {
    const bool by_row =
        role == node_role_window
            ? i == 0
            : role != node_role_opaque && node_reads_rows(values, node, i);
    if (node->inputs[i] != XNN_INVALID_VALUE_ID &&
        !add_demand(analysis, node->inputs[i], by_row ? demand : NULL,
                    by_row ? reads : NULL)) {
      return false;
    }
  }
  return true;
}

static bool find_rows(struct row_analysis* analysis) {
  const struct xnn_subgraph* subgraph = analysis->subgraph;
  for (size_t n = 0; n < subgraph->num_nodes; n++) {
    if (!find_role(analysis, n) || !find_support(analysis, n)) {
      return false;
    }
  }
  for (uint32_t v = 0; v < analysis->num_values; v++) {
    if (!xnn_value_is_internal(&subgraph->values[v]) &&
        !add_demand(analysis, v, NULL, NULL)) {
      return false;
    }
  }
  for (size_t n = subgraph->num_nodes; n-- != 0;) {
    if (!find_demand(analysis, n)) {
      return false;
    }
  }
  for (uint32_t v = 0; v < analysis->num_values; v++) {
    // If nothing is in both, rows of the support are stored: what they hold is
    // never read, while rows outside of it would have to be zero.
    if (!row_set_intersect(analysis->pool, analysis->demand[v],
                           analysis->support[v], &analysis->rows[v])) {
      return false;
    }
  }
  return true;
}

bool row_analysis_run(xnn_subgraph_t subgraph, struct row_set_pool* pool,
                      struct row_analysis* analysis) {
  const size_t num_values = subgraph->num_values;
  const size_t set_bytes = max(num_values, 1) * sizeof(struct row_set*);
  *analysis = (struct row_analysis){
      .subgraph = subgraph,
      .pool = pool,
      .num_values = num_values,
      .nodes = xnn_allocate_zero_memory(max(subgraph->num_nodes, 1) *
                                        sizeof(struct node_analysis)),
      .support = xnn_allocate_zero_memory(set_bytes),
      .demand = xnn_allocate_zero_memory(set_bytes),
      .reads = xnn_allocate_zero_memory(set_bytes),
      .rows = xnn_allocate_zero_memory(set_bytes),
      .is_demanded = xnn_allocate_zero_memory(max(num_values, 1)),
  };
  return analysis->nodes != NULL && analysis->support != NULL &&
         analysis->demand != NULL && analysis->reads != NULL &&
         analysis->rows != NULL && analysis->is_demanded != NULL &&
         find_rows(analysis);
}

void row_analysis_release(struct row_analysis* analysis) {
  xnn_release_memory(analysis->nodes);
  xnn_release_memory(analysis->support);
  xnn_release_memory(analysis->demand);
  xnn_release_memory(analysis->reads);
  row_set_pool_release(&analysis->read_pool);
  xnn_release_memory(analysis->rows);
  xnn_release_memory(analysis->is_demanded);
}
