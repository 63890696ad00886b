#include "native/engine/row-order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/layout.h"
#include "native/engine/node-role.h"
#include "native/engine/row-analysis.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/subgraph.h"

// A convolution whose output is computed for just the pixels that its input
// stores: then a row's live taps depend on its set alone.
static bool can_skip_taps(const struct row_analysis* analysis,
                          const enum value_form* forms, size_t n) {
  const struct xnn_value* values = analysis->subgraph->values;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  if (analysis->nodes[n].role != node_role_window ||
      node->type != xnn_node_type_convolution_2d) {
    return false;
  }
  const uint32_t input = node->inputs[0];
  const uint32_t output = node->outputs[0];
  const struct window window = node_window(values, node);
  return forms[input] == value_form_compact &&
         analysis->rows[input] == analysis->rows[output] &&
         values[input].datatype == xnn_datatype_fp32 &&
         window_can_skip_taps(&window);
}

// Position of a bit pattern in the Gray code: neighbours differ in one bit.
static uint64_t gray_rank(uint64_t pattern) {
  for (uint32_t shift = 1; shift < 64; shift *= 2) {
    pattern ^= pattern >> shift;
  }
  return pattern;
}

static bool order_by_live_taps(const struct row_analysis* analysis, size_t n) {
  const struct xnn_value* values = analysis->subgraph->values;
  const struct xnn_node* node = &analysis->subgraph->nodes[n];
  const struct row_set* rows = analysis->rows[node->outputs[0]];
  const struct window window = node_window(values, node);
  const size_t pixels = (size_t)rows->height * rows->width;
  uint64_t* keys = xnn_allocate_memory(pixels * sizeof(uint64_t));
  if (keys == NULL) {
    return false;
  }
  for (size_t p = 0; p < pixels; p++) {
    keys[p] = gray_rank(window_live_taps(&window, rows, p));
  }
  const bool ok = row_set_sort(analysis->pool, rows, keys);
  xnn_release_memory(keys);
  return ok;
}

bool row_order_choose(const struct row_analysis* analysis,
                      const enum value_form* forms) {
  if (!tile_kernel_exists(live_tap_kernels)) {
    return true;
  }
  for (size_t n = 0; n < analysis->subgraph->num_nodes; n++) {
    if (can_skip_taps(analysis, forms, n) && !order_by_live_taps(analysis, n)) {
      return false;
    }
  }
  return true;
}
