// What a node that handles rows is to do: from which rows, to which rows.
// Constant once the subgraph is rewritten, and shared by all of its runtimes.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_PLAN_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_PLAN_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/plane.h"
#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct row_plan {
  // From the input's plane to the output's; the identity for a row copy.
  struct window window;
  // Rows that the input tensor stores; NULL if it is dense.
  const struct row_set* input;
  // Rows to compute; NULL for all.
  const struct row_set* output;
  // The output tensor is dense: rows go to their pixels, masked pixels get
  // zero rows. Otherwise it is compact by `output` (dense if that is NULL).
  bool scatter;
  // With scatter: whether anything reads the zero rows.
  bool inserts_zeros;
  // Rows outside of which a dense output is zeroed after every row was
  // computed, as far as anything reads; NULL if there is nothing to zero.
  const struct row_set* zeroed_outside;
  // Bytes from one row to the next, and the byte that zero rows are made of.
  size_t input_row_bytes;
  size_t output_row_bytes;
  uint8_t input_zero;
  uint8_t output_zero;
  enum xnn_datatype datatype;

  // Upstream's functions; NULL for a row copy.
  xnn_create_operator_fn create;
  xnn_reshape_operator_fn reshape;
  struct row_plan* next;
};

static inline size_t row_plan_input_rows(const struct row_plan* plan) {
  return plan->input != NULL ? plan->input->count
                             : plane_pixels(plan->window.input);
}

static inline size_t row_plan_computed_rows(const struct row_plan* plan) {
  return plan->output != NULL ? plan->output->count
                              : plane_pixels(plan->window.output);
}

// Rows of the output tensor as it is stored.
static inline size_t row_plan_output_rows(const struct row_plan* plan) {
  return plan->scatter ? plane_pixels(plan->window.output)
                       : row_plan_computed_rows(plan);
}

// Whether the operator reads and writes rows in upstream's way, from dense to
// dense tensor.
static inline bool row_plan_is_dense(const struct row_plan* plan) {
  return plan->input == NULL && plan->output == NULL;
}

// Sets what follows from the tensors' dense values.
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
