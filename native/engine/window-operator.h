// Convolutions and max poolings that read and write chosen rows.
//
// Such an operator runs as a one-dimensional one: an output of 1 x K pixels,
// each with a window of T taps of its own. Upstream's micro-kernels do that
// as they are, since they find every input row through an indirection buffer;
// only the buffer's content is ours.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_OPERATOR_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_OPERATOR_H_

#include "native/engine/row-plan.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Makes the node create and run its operator by the plan.
void window_operator_attach(struct xnn_node* node, struct row_plan* plan);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_OPERATOR_H_
