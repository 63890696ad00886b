// A node that copies rows from a dense or compact tensor to one of another
// form: gathers rows, or inserts zero rows where the input stores none.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_COPY_OPERATOR_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_COPY_OPERATOR_H_

#include <stdint.h>

#include "native/engine/row-plan.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Makes a cleared node a row copy by the plan: to the rows plan->output, or to
// a dense tensor if that is NULL.
void row_copy_operator_define(uint32_t input_id, uint32_t output_id,
                              struct xnn_node* node,
                              const struct row_plan* plan);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_COPY_OPERATOR_H_
