#include "native/engine/row-order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/layout.h"
#include "native/engine/node-role.h"
#include "native/engine/row-analysis.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/config.h"
#include "xnnpack/subgraph.h"

// Convolutions of one set that are taken into account, and rows that are
// compared to fill a tile.
enum { kMostViews = 2, kMostCandidates = 512 };

// How convolutions see the rows that they compute: each row has live taps in
// each view.
struct view {
  struct window window;
  const struct row_set* input;
  // Multiply-accumulates per row and tap, and rows of a tile.
  double weight;
  size_t mr;
};

struct row_taps {
  uint64_t live[kMostViews];
  uint32_t pixel;
};

// Rows of a tile of upstream's kernel for a type, or 0 if none of ours takes
// its place.
static size_t rows_of_tile(enum xnn_datatype datatype) {
  const bool is_int8 = datatype == xnn_datatype_qint8;
  const struct xnn_gemm_config* config =
      is_int8                         ? xnn_init_qs8_qc8w_gemm_config()
      : datatype == xnn_datatype_fp32 ? xnn_init_f32_gemm_config()
                                      : NULL;
  return config != NULL && tile_kernel_find(
                               live_tap_kernels,
                               (struct tile_format){
                                   .type = is_int8 ? tile_int8 : tile_float32,
                                   .mr = config->mr,
                                   .nr = config->nr,
                                   .kr = UINT32_C(1) << config->log2_kr,
                                   .sr = UINT32_C(1) << config->log2_sr,
                               }) != NULL
             ? config->mr
             : 0;
}

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
         (forms[output] == value_form_compact ||
          forms[output] == value_form_scatter) &&
         rows_of_tile(values[input].datatype) != 0 &&
         window_can_skip_taps(&window) &&
         !(analysis->rows[input] == analysis->rows[output] &&
           window_is_identity(&window));
}

// Adds a convolution's view to those of its output's set, of which the heaviest
// are kept, in descending order. Windows between the same sets have the same
// planes.
static void add_view(struct view views[kMostViews + 1], struct view view) {
  size_t i = 0;
  while (i < kMostViews && views[i].weight != 0 &&
         (views[i].input != view.input ||
          memcmp(&views[i].window, &view.window,
                 offsetof(struct window, is_clamped)) != 0)) {
    i++;
  }
  view.weight += i < kMostViews ? views[i].weight : 0;
  for (; i != 0 && views[i - 1].weight < view.weight; i--) {
    views[i] = views[i - 1];
  }
  views[i] = view;
}

// Position of a bit pattern in the Gray code: neighbours differ in one bit.
static uint64_t gray_rank(uint64_t pattern) {
  for (uint32_t shift = 1; shift < 64; shift *= 2) {
    pattern ^= pattern >> shift;
  }
  return pattern;
}

static int compare_rows(const void* a, const void* b) {
  const struct row_taps* x = a;
  const struct row_taps* y = b;
  for (size_t v = 0; v < kMostViews; v++) {
    if (x->live[v] != y->live[v]) {
      return gray_rank(x->live[v]) < gray_rank(y->live[v]) ? -1 : 1;
    }
  }
  return (x->pixel > y->pixel) - (x->pixel < y->pixel);
}

// What a tile costs more if it takes in a row.
static double added_cost(const struct view* views, const uint64_t* live,
                         const struct row_taps* row) {
  double cost = 0;
  for (size_t v = 0; v < kMostViews; v++) {
    cost +=
        views[v].weight * (double)__builtin_popcountll(row->live[v] & ~live[v]);
  }
  return cost;
}

// Fills tiles with `num_rows` rows, one tile after the other: each starts with
// the first row that is left, in Gray order, and takes in those that add least.
// The first of the rows is row `first` of the set.
static void fill_tiles(const struct view* views, const struct row_taps* rows,
                       uint32_t* next, size_t first, size_t num_rows, size_t mr,
                       uint32_t* pixels) {
  const uint32_t end = (uint32_t)num_rows;
  for (uint32_t r = 0; r <= end; r++) {
    next[r] = r + 1;  // the last one's is never read; next[end] is the head
  }
  next[end] = 0;
  uint64_t live[kMostViews] = {0};
  for (size_t position = 0; position < num_rows; position++) {
    const bool is_first = (first + position) % mr == 0;
    if (is_first) {
      memset(live, 0, sizeof(live));
    }
    uint32_t best_before = end;
    double best_cost = added_cost(views, live, &rows[next[end]]);
    if (!is_first) {
      uint32_t before = next[end];
      for (size_t i = 0;
           i < kMostCandidates && next[before] != end && best_cost != 0;
           i++, before = next[before]) {
        const double cost = added_cost(views, live, &rows[next[before]]);
        if (cost < best_cost) {
          best_cost = cost;
          best_before = before;
        }
      }
    }
    const uint32_t best = next[best_before];
    next[best_before] = next[best];
    for (size_t v = 0; v < kMostViews; v++) {
      live[v] |= rows[best].live[v];
    }
    pixels[position] = rows[best].pixel;
  }
}

static bool order_rows(const struct row_analysis* analysis,
                       const struct row_set* set, const struct view* views) {
  const size_t num_rows = set->count;
  struct row_taps* rows =
      xnn_allocate_zero_memory(num_rows * sizeof(struct row_taps));
  uint32_t* next = xnn_allocate_memory((num_rows + 1) * sizeof(uint32_t));
  uint32_t* pixels = xnn_allocate_memory(num_rows * sizeof(uint32_t));
  bool ok = rows != NULL && next != NULL && pixels != NULL;
  if (ok) {
    row_set_pixels(set, 0, num_rows, pixels);
    for (size_t r = 0; r < num_rows; r++) {
      rows[r].pixel = pixels[r];
      for (size_t v = 0; v < kMostViews && views[v].weight != 0; v++) {
        rows[r].live[v] =
            window_live_taps(&views[v].window, views[v].input, rows[r].pixel);
      }
    }
    size_t begin = 0;
    for (size_t band = 0; begin != num_rows; band++) {
      const size_t end = row_set_band(set, band + 1);
      qsort(rows + begin, end - begin, sizeof(struct row_taps), compare_rows);
      fill_tiles(views, rows + begin, next, begin, end - begin, views[0].mr,
                 pixels + begin);
      begin = end;
    }
    ok = row_set_order(analysis->pool, set, pixels);
  }
  xnn_release_memory(rows);
  xnn_release_memory(next);
  xnn_release_memory(pixels);
  return ok;
}

bool row_order_choose(const struct row_analysis* analysis,
                      const enum value_form* forms) {
  const struct xnn_subgraph* subgraph = analysis->subgraph;
  for (struct row_set* set = analysis->pool->first; set != NULL;
       set = set->next) {
    struct view views[kMostViews + 1] = {{.weight = 0}};
    for (size_t n = 0; n < subgraph->num_nodes; n++) {
      const struct xnn_node* node = &subgraph->nodes[n];
      if (node->num_outputs != 0 && analysis->rows[node->outputs[0]] == set &&
          can_skip_taps(analysis, forms, n)) {
        const struct window window = node_window(subgraph->values, node);
        add_view(
            views,
            (struct view){
                .window = window,
                .input = analysis->rows[node->inputs[0]],
                .weight = (double)node_macs_per_pixel(node) /
                          (double)window_num_taps(&window),
                .mr = rows_of_tile(subgraph->values[node->inputs[0]].datatype),
            });
      }
    }
    if (views[0].weight != 0 && !order_rows(analysis, set, views)) {
      return false;
    }
  }
  return true;
}
