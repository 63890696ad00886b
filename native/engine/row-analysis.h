// Which rows of which values matter.
//
// Three facts per value, each a set of pixels:
//   support: outside of it the value is zero, by the graph's meaning;
//   demand:  outside of it no consumer looks, if masks hide what they mask;
//   reads:   outside of it no consumer looks, masks included.
// Only rows in support and demand have to be computed or stored. Where masks
// are left out, because their input is zero there, zeros have to be stored in
// the reads; elsewhere a tensor may hold anything.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_ANALYSIS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_ANALYSIS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/mask-multiply.h"
#include "native/engine/node-role.h"
#include "native/engine/row-set.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct node_analysis {
  enum node_role role;
  enum mask_verdict verdict;
  // Of nodes with a mask verdict: input and reason, and the mask's pixels.
  struct mask_multiply multiply;
  const struct row_set* mask;
};

struct row_analysis {
  xnn_subgraph_t subgraph;
  struct row_set_pool* pool;
  // Of reads, which nothing needs once nodes are rewritten.
  struct row_set_pool read_pool;
  // [num_nodes]
  struct node_analysis* nodes;
  // [num_values] each; NULL stands for every pixel.
  size_t num_values;
  const struct row_set** support;
  const struct row_set** demand;
  const struct row_set** reads;
  const struct row_set** rows;
  bool* is_demanded;
};

// Analyses a subgraph whose producers and consumers are up to date. Returns
// false when out of memory; release the analysis either way.
bool row_analysis_run(xnn_subgraph_t subgraph, struct row_set_pool* pool,
                      struct row_analysis* analysis);

void row_analysis_release(struct row_analysis* analysis);

// Given, for each value, a set outside of which it is zero, finds the same for
// the outputs of node n, which computes every pixel.
bool row_analysis_nonzero_output(const struct row_analysis* analysis, size_t n,
                                 const struct row_set* const* nonzero,
                                 const struct row_set** output);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_ANALYSIS_H_
