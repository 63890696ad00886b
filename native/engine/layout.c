#include "native/engine/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/costs.h"
#include "native/engine/node-role.h"
#include "native/engine/plane.h"
#include "native/engine/row-analysis.h"
#include "native/engine/row-set.h"
#include "native/engine/sparsity.h"
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
                         const enum value_form* forms,
                         const struct xnn_node* node) {
  const struct row_set* rows = analysis->rows[node->outputs[0]];
  for (size_t i = 0; i < node->num_outputs; i++) {
    const uint32_t output = node->outputs[i];
    if (forms[output] != value_form_compact || analysis->rows[output] != rows) {
      return false;
    }
  }
  for (size_t i = 0; i < node->num_inputs; i++) {
    const uint32_t input = node->inputs[i];
    if (forms[input] == value_form_compact && analysis->rows[input] == rows) {
      return true;
    }
  }
  return false;
}

static void add_wish(const struct row_analysis* analysis,
                     const enum value_form* forms, size_t n, uint32_t input,
                     struct wishes* wishes) {
  const uint32_t output = analysis->subgraph->nodes[n].outputs[0];
  switch (analysis->nodes[n].role) {
    case node_role_opaque:
      wishes->dense = true;
      break;
    case node_role_elementwise:
    case node_role_mask:
      wishes->dense |= forms[output] != value_form_compact;
      wishes->compact |= forms[output] == value_form_compact &&
                         analysis->rows[input] == analysis->rows[output];
      break;
    case node_role_window:
      // Reads either form through its indirection buffer.
      break;
  }
}

// Convolutions insert zeros as they write: dense costs them next to nothing, a
// node that inserts them later would.
static bool should_be_dense(const struct wishes* wishes) {
  return wishes->dense && !wishes->compact;
}

static bool demote_unless(enum value_form* forms, uint32_t v, bool stays) {
  if (stays || forms[v] == value_form_dense) {
    return false;
  }
  forms[v] = value_form_dense;
  return true;
}

// One pass from the last node to the first: what a consumer wishes is known
// before its inputs' producers are asked.
static bool demote_backwards(const struct row_analysis* analysis,
                             enum value_form* forms, struct wishes* wishes) {
  const struct xnn_subgraph* subgraph = analysis->subgraph;
  memset(wishes, 0, analysis->num_values * sizeof(struct wishes));
  bool has_changed = false;
  for (size_t n = subgraph->num_nodes; n-- != 0;) {
    const struct xnn_node* node = &subgraph->nodes[n];
    const bool is_elementwise =
        analysis->nodes[n].role == node_role_elementwise;
    for (size_t i = 0; i < node->num_outputs && !is_elementwise; i++) {
      has_changed |= demote_unless(forms, node->outputs[i],
                                   !should_be_dense(&wishes[node->outputs[i]]));
    }
    for (size_t i = 0; i < node->num_inputs; i++) {
      if (node->inputs[i] != XNN_INVALID_VALUE_ID) {
        add_wish(analysis, forms, n, node->inputs[i], &wishes[node->inputs[i]]);
      }
    }
  }
  return has_changed;
}

// One pass from the first node to the last: elementwise nodes follow their
// inputs. If one can run on rows it should, even if zero insertion follows.
static bool demote_forwards(const struct row_analysis* analysis,
                            enum value_form* forms) {
  const struct xnn_subgraph* subgraph = analysis->subgraph;
  bool has_changed = false;
  for (size_t n = 0; n < subgraph->num_nodes; n++) {
    const struct xnn_node* node = &subgraph->nodes[n];
    if (analysis->nodes[n].role == node_role_elementwise) {
      const bool runs = runs_on_rows(analysis, forms, node);
      for (size_t i = 0; i < node->num_outputs; i++) {
        has_changed |= demote_unless(forms, node->outputs[i], runs);
      }
    }
  }
  return has_changed;
}

// Windows write dense tensors in one of two ways.
static void choose_insertion(const struct row_analysis* analysis,
                             enum value_form* forms) {
  const struct xnn_subgraph* subgraph = analysis->subgraph;
  for (size_t n = 0; n < subgraph->num_nodes; n++) {
    const struct xnn_node* node = &subgraph->nodes[n];
    if (analysis->nodes[n].role != node_role_window) {
      continue;
    }
    const uint32_t output = node->outputs[0];
    const struct row_set* rows = analysis->rows[output];
    if (rows != NULL && forms[output] == value_form_dense) {
      forms[output] = insertion_pays(subgraph->values, node, rows)
                          ? value_form_scatter
                          : value_form_zeroed;
    }
  }
}

bool layout_choose(const struct row_analysis* analysis,
                   enum value_form* forms) {
  const enum xnn_sparsity_mode mode = analysis->subgraph->sparsity_mode;
  if (mode == xnn_sparsity_mode_compact) {
    struct wishes* wishes = xnn_allocate_memory(max(analysis->num_values, 1) *
                                                sizeof(struct wishes));
    if (wishes == NULL) {
      return false;
    }
    for (uint32_t v = 0; v < analysis->num_values; v++) {
      if (is_candidate(analysis, v)) {
        forms[v] = value_form_compact;
      }
    }
    bool has_changed = true;
    while (has_changed) {
      has_changed = demote_forwards(analysis, forms);
      has_changed |= demote_backwards(analysis, forms, wishes);
    }
    xnn_release_memory(wishes);
  }
  if (mode != xnn_sparsity_mode_off) {
    choose_insertion(analysis, forms);
  }
  return true;
}
