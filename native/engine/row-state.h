// What an operator that runs by a row plan knows of itself: found as it is
// reshaped, gone with it.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_STATE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_STATE_H_

#include <stddef.h>
#include <stdint.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/kernels/tile-kernel.h"
#include "native/engine/row-plan.h"
#include "native/engine/window-table.h"
#include "xnnpack/operator.h"

#ifdef __cplusplus
extern "C" {
#endif

struct row_state {
  const struct row_plan* plan;
  // Of a window operator: which rows it reads. NULL before the first reshape,
  // and between dense tensors.
  struct window_table* table;
  // Of a convolution that skips dead taps: its kernel; NULL if it runs
  // upstream's.
  const struct tile_kernel* kernel;
  // Of a convolution between dense tensors, which zeroes the masked pixels of
  // what it has just computed: what computes it.
  gemm_block_fn run_all;
  // In 8 bits: what rows of zeros add, for each group.
  int32_t* zero_sums;
  size_t zero_sums_bytes;
};

// Gives an operator its state. Returns false when out of memory.
bool row_state_create(struct xnn_operator* op, const struct row_plan* plan);

// The operator that a parallel task's context belongs to.
static inline const struct xnn_operator* operator_of_context(
    const void* context) {
  return (const struct xnn_operator*)((uintptr_t)context -
                                      offsetof(struct xnn_operator, context));
}

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_STATE_H_
