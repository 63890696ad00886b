// The engine's entry points for XNNPACK's own code.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_SUBGRAPH_SPARSITY_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_SUBGRAPH_SPARSITY_H_

#include "native/engine/shared-table.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Row sets, plans and the account of masks; shared by a subgraph and its
// runtimes.
struct xnn_sparsity;

// Rewrites an optimised subgraph by its mode, once, and sets
// subgraph->sparsity. Leaves a subgraph without masks as it is.
enum xnn_status xnn_subgraph_skip_masked_rows(xnn_subgraph_t subgraph);

// NULL is allowed in both.
struct xnn_sparsity* xnn_sparsity_retain(struct xnn_sparsity* sparsity);
void xnn_sparsity_release(struct xnn_sparsity* sparsity);

// Has an operator share the tables of its runtime. NULL is allowed.
void xnn_operator_share_tables(struct xnn_operator* op,
                               struct shared_tables* tables);

// Releases what an operator knows of the rows it handles.
void xnn_row_state_release(struct xnn_operator* op);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_SUBGRAPH_SPARSITY_H_
