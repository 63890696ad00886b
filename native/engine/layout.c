#include "native/engine/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/node-role.h"
#include "native/engine/row-analysis.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/subgraph.h"

// How the consumers of a value would like it stored.
struct wishes {
  // One runs on just these rows.
  bool compact;
  // One needs the dense tensor.
  bool dense;
};

static bool is_candidate(const struct row_analysis* analysis, uint32_t v) {
  const struct xnn_value* value = &analysis->subgraph->values[v];
  return analysis->rows[v] != NULL && value->producer != XNN_INVALID_NODE_ID &&
         value_has_plane(value) && xnn_value_is_internal(value) &&
         analysis->nodes[value->producer].role != node_role_opaque;
}

// An elementwise node runs on rows if all its outputs do, on the same rows,
// and one of its inputs has just those; others are gathered.
static bool runs_on_rows(const struct row_analysis* analysis,
                         const bool* is_compact, const struct xnn_node* node) {
  const struct row_set* rows = analysis->rows[node->outputs[0]];
  for (size_t i = 0; i < node->num_outputs; i++) {
    const uint32_t output = node->outputs[i];
    if (!is_compact[output] || analysis->rows[output] != rows) {
      return false;
    }
  }
  for (size_t i = 0; i < node->num_inputs; i++) {
    const uint32_t input = node->inputs[i];
    if (is_compact[input] && analysis->rows[input] == rows) {
      return true;
    }
  }
  return false;
}

static void add_wish(const struct row_analysis* analysis,
                     const bool* is_compact, size_t n, uint32_t input,
                     struct wishes* wishes) {
  const uint32_t output = analysis->subgraph->nodes[n].outputs[0];
  switch (analysis->nodes[n].role) {
    case node_role_opaque:
      wishes->dense = true;
      break;
    case node_role_elementwise:
    case node_role_mask:
      wishes->dense |= !is_compact[output];
      wishes->compact |=
          is_compact[output] && analysis->rows[input] == analysis->rows[output];
      break;
    case node_role_window:
      // Reads either form through its indirection buffer.
      break;
  }
}

// Whether `value` should become dense, given the choices so far.
static bool should_be_dense(const struct row_analysis* analysis,
                            const bool* is_compact, uint32_t v,
                            const struct wishes* wishes) {
  const uint32_t producer = analysis->subgraph->values[v].producer;
  if (analysis->nodes[producer].role == node_role_elementwise) {
    // If it can run on rows it should, even if zero insertion follows.
    return !runs_on_rows(analysis, is_compact,
                         &analysis->subgraph->nodes[producer]);
  }
  // Convolutions insert zeros as they write: dense costs them next to nothing,
  // a node that inserts them later would.
  return wishes->dense && !wishes->compact;
}

static bool demote_once(const struct row_analysis* analysis, bool* is_compact,
                        struct wishes* wishes) {
  const struct xnn_subgraph* subgraph = analysis->subgraph;
  memset(wishes, 0, analysis->num_values * sizeof(struct wishes));
  for (size_t n = 0; n < subgraph->num_nodes; n++) {
    const struct xnn_node* node = &subgraph->nodes[n];
    for (size_t i = 0; i < node->num_inputs; i++) {
      if (node->inputs[i] != XNN_INVALID_VALUE_ID) {
        add_wish(analysis, is_compact, n, node->inputs[i],
                 &wishes[node->inputs[i]]);
      }
    }
  }
  bool has_changed = false;
  for (uint32_t v = 0; v < analysis->num_values; v++) {
    if (is_compact[v] && should_be_dense(analysis, is_compact, v, &wishes[v])) {
      is_compact[v] = false;
      has_changed = true;
    }
  }
  return has_changed;
}

bool layout_choose(const struct row_analysis* analysis, bool* is_compact) {
  struct wishes* wishes = xnn_allocate_zero_memory(
      max(analysis->num_values, 1) * sizeof(struct wishes));
  if (wishes == NULL) {
    return false;
  }
  for (uint32_t v = 0; v < analysis->num_values; v++) {
    is_compact[v] = is_candidate(analysis, v);
  }
  while (demote_once(analysis, is_compact, wishes)) {
  }
  xnn_release_memory(wishes);
  return true;
}
