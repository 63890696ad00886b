// What an operator that may skip zeros knows of itself: owned by the operator.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZERO_STATE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZERO_STATE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "native/engine/row-state.h"
#include "native/engine/sparsity.h"
#include "native/engine/zeros/nonzero-block.h"
#include "xnnpack/microkernel-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zero_readers;

struct zero_skipping {
  enum xnn_zeros_mode mode;
  struct xnn_operator* op;
  // The operator's own functions.
  xnn_reshape_operator_fn reshape;
  xnn_setup_operator_fn setup;
  // Why zeros cannot be skipped; NULL if they can.
  const char* obstacle;
  bool are_weights_checked;

  // Set by reshape: what is multiplied, and in which pieces.
  struct nonzero_gemm gemm;
  size_t num_groups;
  size_t num_batches;
  size_t num_rows;
  size_t num_stored_rows;
  size_t row_bytes;
  size_t rows_per_block;
  size_t outputs_per_task;
  size_t lists_stride;
  size_t scratch_bytes;
  size_t workspace_offset;
  size_t workspace_bytes;
  double most_nonzeros;
  // If nonzeros are spread to their readers; else NULL, and lists are
  // multiplied.
  struct zero_readers* readers;
  // Invocations of the operator: ours, and the one that they stand in for.
  struct compute_parameters* find;
  struct compute_parameters* multiply;
  struct compute_parameters* dense;
  enum xnn_parallelization_type dense_type;

  // Set by setup: lists of all rows, then each thread's scratch memory.
  uint8_t* workspace;

  // What was seen.
  bool skips;
  size_t inferences_to_next_look;
  double last_zeros;
  double sum_of_zeros;
  size_t num_looks;
};

static inline bool zero_is_gemm(const struct xnn_operator* op) {
  return op->ukernel.type == xnn_microkernel_type_gemm;
}

// NULL for an operator between dense tensors.
static inline const struct row_plan* zero_plan_of(
    const struct xnn_operator* op) {
  return op->row_state != NULL && !row_plan_is_dense(op->row_state->plan)
             ? op->row_state->plan
             : NULL;
}

static inline void* zero_at(const void* base, size_t offset) {
  return (void*)((uintptr_t)base + offset);
}

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZERO_STATE_H_
