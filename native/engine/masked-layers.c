#include "native/engine/masked-layers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "native/engine/insertion-rule.h"
#include "native/engine/mask-multiply.h"
#include "native/engine/node-role.h"
#include "native/engine/row-analysis.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/node-type.h"
#include "xnnpack/subgraph.h"

// What lies upstream of a mask, up to the nodes that do not work row by row.
struct producers {
  const struct row_analysis* analysis;
  const bool* is_compact;
  bool* is_visited;
  struct xnn_masked_layer* layer;
  bool skips;
  const struct xnn_node* first_that_computes_all;
};

static void visit_window(struct producers* producers,
                         const struct xnn_node* node) {
  const struct row_analysis* analysis = producers->analysis;
  const struct xnn_value* values = analysis->subgraph->values;
  const uint32_t value_id = node->outputs[0];
  const struct row_set* rows = analysis->rows[value_id];
  const bool skips = rows != NULL && (producers->is_compact[value_id] ||
                                      insertion_pays(values, node, rows));
  const uint64_t pixels =
      values[value_id].shape.dim[1] * values[value_id].shape.dim[2];
  const uint64_t macs = window_node_macs_per_pixel(node);
  producers->layer->macs_dense += pixels * macs;
  producers->layer->macs_kept += (skips ? rows->count : pixels) * macs;
  producers->skips |= skips;
  if (skips && producers->layer->op == NULL) {
    producers->layer->op = xnn_node_type_to_string(node->type);
  }
  if (!skips && producers->first_that_computes_all == NULL) {
    producers->first_that_computes_all = node;
  }
}

static void visit(struct producers* producers, uint32_t value_id) {
  const struct row_analysis* analysis = producers->analysis;
  const struct xnn_value* values = analysis->subgraph->values;
  const uint32_t n = values[value_id].producer;
  if (n == XNN_INVALID_NODE_ID || producers->is_visited[n]) {
    return;
  }
  producers->is_visited[n] = true;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  const struct row_set* rows = analysis->rows[value_id];
  switch (analysis->nodes[n].role) {
    case node_role_elementwise:
      for (size_t i = 0; i < node->num_inputs; i++) {
        if (node_reads_rows(values, node, i)) {
          visit(producers, node->inputs[i]);
        }
      }
      return;
    case node_role_window:
      visit_window(producers, node);
      return;
    case node_role_mask:
      // That mask's layer counts what lies behind it.
      producers->skips |= rows != NULL;
      return;
    case node_role_opaque:
      if (producers->first_that_computes_all == NULL) {
        producers->first_that_computes_all = node;
      }
      return;
  }
}

static void explain_dense(const struct producers* producers, uint32_t n) {
  struct xnn_masked_layer* layer = producers->layer;
  const struct node_analysis* facts = &producers->analysis->nodes[n];
  const struct xnn_node* producer = producers->first_that_computes_all;
  const bool is_window =
      producer != NULL &&
      producers->analysis->nodes[producer->id].role == node_role_window;
  if (facts->mask == NULL) {
    layer->is_dense_by_choice = true;
    snprintf(layer->reason, sizeof(layer->reason),
             "the mask keeps every pixel: there is nothing to skip");
  } else if (producer == NULL) {
    snprintf(layer->reason, sizeof(layer->reason),
             "its values come from outside: they are an input of the model, or "
             "of an operation that was left to the interpreter, such as one of "
             "8-bit weights and float values");
  } else if (is_window &&
             producers->analysis->rows[producer->outputs[0]] != NULL) {
    layer->is_dense_by_choice = true;
    snprintf(
        layer->reason, sizeof(layer->reason),
        "a sparsity of %.1f%% saves less than inserting zeros into a dense "
        "tensor costs: every pixel is computed, masked ones are zeroed",
        100.0 *
            (1.0 - (double)layer->kept_pixels / (double)layer->total_pixels));
  } else if (is_window) {
    snprintf(layer->reason, sizeof(layer->reason),
             "the output of its %s is also read unmasked, by another "
             "operation or as an output of the graph",
             xnn_node_type_to_string(producer->type));
  } else {
    snprintf(layer->reason, sizeof(layer->reason),
             "its values come from %s, which computes every pixel",
             xnn_node_type_to_string(producer->type));
  }
}

static void describe(const struct row_analysis* analysis,
                     const bool* is_compact, bool is_off, uint32_t n,
                     bool* is_visited, struct xnn_masked_layer* layer) {
  const struct node_analysis* facts = &analysis->nodes[n];
  const uint32_t output = analysis->subgraph->nodes[n].outputs[0];
  const struct xnn_value* value = &analysis->subgraph->values[output];
  *layer = (struct xnn_masked_layer){
      .value_id = output,
      .form = xnn_sparsity_mode_off,
      .total_pixels = value->shape.dim[1] * value->shape.dim[2],
  };
  layer->kept_pixels = layer->total_pixels;
  if (facts->verdict == mask_verdict_unusable) {
    memcpy(layer->reason, facts->multiply.reason, sizeof(layer->reason));
    return;
  }
  if (facts->mask != NULL) {
    layer->kept_pixels = facts->mask->count;
  }
  struct producers producers = {.analysis = analysis,
                                .is_compact = is_compact,
                                .is_visited = is_visited,
                                .layer = layer};
  visit(&producers, facts->multiply.input_id);
  if (is_off) {
    layer->macs_kept = layer->macs_dense;
    layer->op = NULL;
    snprintf(layer->reason, sizeof(layer->reason), "mode is off");
  } else if (!producers.skips) {
    explain_dense(&producers, n);
  } else {
    layer->form = is_compact[output] ? xnn_sparsity_mode_compact
                                     : xnn_sparsity_mode_insert;
  }
}

size_t masked_layers_count(const struct row_analysis* analysis) {
  size_t count = 0;
  for (uint32_t n = 0; n < analysis->subgraph->num_nodes; n++) {
    count += analysis->nodes[n].verdict != mask_verdict_not_a_mask;
  }
  return count;
}

bool masked_layers_describe(const struct row_analysis* analysis,
                            const bool* is_compact, bool is_off,
                            struct xnn_masked_layer* layers) {
  const size_t num_nodes = analysis->subgraph->num_nodes;
  bool* is_visited = xnn_allocate_memory(max(num_nodes, 1));
  if (is_visited == NULL) {
    return false;
  }
  for (uint32_t n = 0; n < num_nodes; n++) {
    if (analysis->nodes[n].verdict != mask_verdict_not_a_mask) {
      memset(is_visited, 0, num_nodes);
      describe(analysis, is_compact, is_off, n, is_visited, layers++);
    }
  }
  xnn_release_memory(is_visited);
  return true;
}
