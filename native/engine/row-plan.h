// What a node that handles rows is to do: from which rows, to which rows.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_PLAN_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_PLAN_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/live-tap-igemm.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct row_plan {
  // Planes of the dense tensors.
  uint32_t input_height;
  uint32_t input_width;
  uint32_t output_height;
  uint32_t output_width;
  // Rows that the input tensor stores; NULL if it is dense.
  const struct row_set* input;
  // Rows to compute; NULL for all.
  const struct row_set* output;
  // The output tensor is dense: rows go to their pixels, masked pixels get
  // zero rows. Otherwise it is compact by `output` (dense if that is NULL).
  bool scatter;
  // Rows outside of which a dense output is zeroed after every row was
  // computed; NULL if there is nothing to zero.
  const struct row_set* zeroed_outside;
  // Bytes from one row to the next, and the byte that zero rows are made of
  // (the zero point of quantised types).
  size_t input_row_bytes;
  size_t output_row_bytes;
  uint8_t input_zero;
  uint8_t output_zero;

  // Of a window node: its window, and upstream's functions.
  struct window window;
  bool is_float32;
  xnn_create_operator_fn create;
  xnn_reshape_operator_fn reshape;
  // Of a convolution that skips dead taps: its kernel, and the live taps of
  // each tile of rows.
  live_tap_igemm_fn live_tap_igemm;
  uint64_t* live_taps;
  // Of a row copy: for each row of the output tensor the row of the input
  // tensor, or ROW_NONE for a zero row.
  uint32_t* source;

  // Bytes that the operator holds beyond what it would for dense tensors.
  size_t extra_bytes;
  struct row_plan* next;
};

static inline size_t row_plan_input_rows(const struct row_plan* plan) {
  return plan->input != NULL ? plan->input->count
                             : (size_t)plan->input_height * plan->input_width;
}

static inline size_t row_plan_computed_rows(const struct row_plan* plan) {
  return plan->output != NULL
             ? plan->output->count
             : (size_t)plan->output_height * plan->output_width;
}

// Rows of the output tensor as it is stored.
static inline size_t row_plan_output_rows(const struct row_plan* plan) {
  return plan->scatter ? (size_t)plan->output_height * plan->output_width
                       : row_plan_computed_rows(plan);
}

// Whether the operator reads and writes rows in upstream's way, from dense to
// dense tensor.
static inline bool row_plan_is_dense(const struct row_plan* plan) {
  return plan->input == NULL && plan->output == NULL;
}

// Where row `row` of the computed ones is stored in the output tensor.
static inline size_t row_plan_place(const struct row_plan* plan, size_t row) {
  return plan->scatter ? plan->output->pixel[row] : row;
}

// Sets the planes, row sizes and zeros of a plan from its tensors' dense
// values.
void row_plan_describe(struct row_plan* plan, const struct xnn_value* input,
                       const struct xnn_value* output);

// Gives `value` the shape of a tensor with the planned output form. Returns
// xnn_status_reallocation_required if it has outgrown its memory.
enum xnn_status row_plan_set_output_shape(const struct row_plan* plan,
                                          size_t batch_size, size_t channels,
                                          struct xnn_value* value);

// Checks that `value` is stored as the plan expects its input.
enum xnn_status row_plan_check_input(const struct row_plan* plan,
                                     const struct xnn_value* value);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_PLAN_H_
