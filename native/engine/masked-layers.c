#include "native/engine/masked-layers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "native/engine/layout.h"
#include "native/engine/mask-multiply.h"
#include "native/engine/node-role.h"
#include "native/engine/plane.h"
#include "native/engine/row-analysis.h"
#include "native/engine/sparsity.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/node-type.h"
#include "xnnpack/subgraph.h"

// What lies upstream of a mask, up to the nodes that do not work row by row.
struct producers {
  const struct row_analysis* analysis;
  const enum value_form* forms;
  // [num_nodes] the last layer that visited a node; none is NULL.
  const struct xnn_masked_layer** visitor;
  // [num_nodes] nodes to visit, those of the first input on top.
  uint32_t* to_visit;
  size_t num_to_visit;
  struct xnn_masked_layer* layer;
  bool skips;
  const struct xnn_node* first_that_computes_all;
};

static void add_producer(struct producers* producers, uint32_t value_id) {
  const uint32_t n = producers->analysis->subgraph->values[value_id].producer;
  if (n != XNN_INVALID_NODE_ID && producers->visitor[n] != producers->layer) {
    producers->visitor[n] = producers->layer;
    producers->to_visit[producers->num_to_visit++] = n;
  }
}

static void visit_window(struct producers* producers,
                         const struct xnn_node* node) {
  const struct row_analysis* analysis = producers->analysis;
  const uint32_t value_id = node->outputs[0];
  const enum value_form form = producers->forms[value_id];
  const bool skips = form == value_form_compact || form == value_form_scatter;
  const uint64_t pixels =
      plane_pixels(value_plane(&analysis->subgraph->values[value_id]));
  const uint64_t macs = node_macs_per_pixel(node);
  producers->layer->macs_dense += pixels * macs;
  producers->layer->macs_kept +=
      (skips ? analysis->rows[value_id]->count : pixels) * macs;
  producers->skips |= skips;
  if (skips && producers->layer->op == NULL) {
    producers->layer->op = xnn_node_type_to_string(node->type);
  }
  if (!skips && producers->first_that_computes_all == NULL) {
    producers->first_that_computes_all = node;
  }
}

static void visit(struct producers* producers, uint32_t n) {
  const struct row_analysis* analysis = producers->analysis;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  switch (analysis->nodes[n].role) {
    case node_role_elementwise:
      for (size_t i = node->num_inputs; i-- != 0;) {
        if (node_reads_rows(analysis->subgraph->values, node, i)) {
          add_producer(producers, node->inputs[i]);
        }
      }
      return;
    case node_role_window:
      visit_window(producers, node);
      return;
    case node_role_mask:
      // That mask's layer counts what lies behind it.
      producers->skips |= analysis->rows[node->outputs[0]] != NULL;
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
  if (facts->mask == NULL) {
    layer->is_dense_by_choice = true;
    snprintf(layer->reason, sizeof(layer->reason),
             "the mask keeps every pixel: there is nothing to skip");
  } else if (producer == NULL) {
    snprintf(layer->reason, sizeof(layer->reason),
             "its values come from outside: they are an input of the model, or "
             "of an operation that was left to the interpreter, such as one of "
             "8-bit weights and float values");
  } else if (producers->forms[producer->outputs[0]] == value_form_zeroed) {
    layer->is_dense_by_choice = true;
    snprintf(
        layer->reason, sizeof(layer->reason),
        "a sparsity of %.1f%% saves less than inserting zeros into a dense "
        "tensor costs: every pixel is computed, masked ones are zeroed",
        100.0 *
            (1.0 - (double)layer->kept_pixels / (double)layer->total_pixels));
  } else if (producers->analysis->nodes[producer->id].role ==
             node_role_window) {
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

static void describe(struct producers* producers, uint32_t n) {
  const struct row_analysis* analysis = producers->analysis;
  const struct node_analysis* facts = &analysis->nodes[n];
  const uint32_t output = analysis->subgraph->nodes[n].outputs[0];
  const size_t pixels =
      plane_pixels(value_plane(&analysis->subgraph->values[output]));
  struct xnn_masked_layer* layer = producers->layer;
  *layer = (struct xnn_masked_layer){
      .value_id = output,
      .form = xnn_sparsity_mode_off,
      .kept_pixels = facts->mask != NULL ? facts->mask->count : pixels,
      .total_pixels = pixels,
  };
  if (facts->verdict == mask_verdict_unusable) {
    memcpy(layer->reason, facts->multiply.reason, sizeof(layer->reason));
    return;
  }
  producers->skips = false;
  producers->first_that_computes_all = NULL;
  add_producer(producers, facts->multiply.input_id);
  while (producers->num_to_visit != 0) {
    visit(producers, producers->to_visit[--producers->num_to_visit]);
  }
  if (analysis->subgraph->sparsity_mode == xnn_sparsity_mode_off) {
    snprintf(layer->reason, sizeof(layer->reason), "mode is off");
  } else if (!producers->skips) {
    explain_dense(producers, n);
  } else {
    layer->form = producers->forms[output] == value_form_compact
                      ? xnn_sparsity_mode_compact
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
                            const enum value_form* forms,
                            struct xnn_masked_layer* layers) {
  const size_t num_nodes = max(analysis->subgraph->num_nodes, 1);
  struct producers producers = {
      .analysis = analysis,
      .forms = forms,
      .visitor = xnn_allocate_zero_memory(num_nodes *
                                          sizeof(struct xnn_masked_layer*)),
      .to_visit = xnn_allocate_memory(num_nodes * sizeof(uint32_t)),
      .layer = layers,
  };
  const bool ok = producers.visitor != NULL && producers.to_visit != NULL;
  for (uint32_t n = 0; n < analysis->subgraph->num_nodes && ok; n++) {
    if (analysis->nodes[n].verdict != mask_verdict_not_a_mask) {
      describe(&producers, n);
      producers.layer++;
    }
  }
  xnn_release_memory(producers.visitor);
  xnn_release_memory(producers.to_visit);
  return ok;
}
