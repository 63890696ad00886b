// What pays on this machine: the one place for measured constants.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_COSTS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_COSTS_H_

#include <stdbool.h>

#include "native/engine/row-set.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of a window node with a dense output: true if computing `rows` alone, putting
// them at their pixels and inserting zeros is faster than computing every pixel
// and zeroing the masked ones.
bool insertion_pays(const struct xnn_value* values, const struct xnn_node* node,
                    const struct row_set* rows);

// Whether visiting this share of a convolution's taps in a kernel that skips
// the others is faster than visiting all in upstream's, which is a little
// faster on those that both visit.
bool skipping_taps_pays(double share_of_live_taps);

// A convolution or matrix product that may multiply nonzero activations alone:
// means of its output rows.
struct zero_work {
  // Its rows are found through an indirection buffer; for few outputs.
  bool is_indirect;
  bool is_narrow;
  // Taps of a row that the dense kernel visits, channels under each, and
  // channels of a list.
  double num_taps;
  size_t num_channels;
  size_t list_channels;
  // Outputs, as far as the kernels' last vectors reach, and blocks of weights.
  size_t num_outputs;
  size_t num_blocks;
  // Spread to their readers: input rows visited, and outputs that read them.
  double num_sources;
  double num_readers;
};

// The largest share of nonzero activations at which multiplying lists of them,
// the search included, is faster than multiplying all. May be negative.
double most_listed_nonzeros_that_pay(const struct zero_work* work);

// The same for spreading them.
double most_spread_nonzeros_that_pay(const struct zero_work* work);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_COSTS_H_
