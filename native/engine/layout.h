// Chooses the form of each value.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_LAYOUT_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_LAYOUT_H_

#include <stdbool.h>

#include "native/engine/row-analysis.h"

#ifdef __cplusplus
extern "C" {
#endif

// How a value is stored, and which of its rows its producer computes.
enum value_form {
  // [N, H, W, C]; every row is computed.
  value_form_dense = 0,
  // [N, 1, K, C]: the rows that matter alone.
  value_form_compact,
  // [N, H, W, C]; a window node computes the rows that matter, puts them at
  // their pixels, and zero rows at the others.
  value_form_scatter,
  // [N, H, W, C]; a window node computes every row, then zeroes those that do
  // not matter.
  value_form_zeroed,
};

// Fills forms[num_values], all of them value_form_dense on entry, as the
// subgraph's mode allows: `insert` has no compact values, `off` only dense
// ones. Returns false when out of memory.
bool layout_choose(const struct row_analysis* analysis, enum value_form* forms);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_LAYOUT_H_
