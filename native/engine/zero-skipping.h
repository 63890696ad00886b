// Operators that multiply only nonzero activations, found in each inference.
//
// Whether they do is a choice of speed alone, made as an operator runs: before
// the invocations that upstream or a row plan gave it come three of ours, which
// look at a few rows, list the rows, and multiply; then either those or the
// others run.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZERO_SKIPPING_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZERO_SKIPPING_H_

#include "native/engine/sparsity.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Hook: lets the operator of a node that was just created skip zeros, if it is
// a convolution or fully connected. `opdata` has its functions already.
enum xnn_status xnn_skip_zeros(const struct xnn_node* node,
                               enum xnn_zeros_mode mode,
                               struct xnn_operator_data* opdata);

// Releases what an operator knows of its zeros.
void xnn_zero_skipping_release(struct xnn_operator* op);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZERO_SKIPPING_H_
