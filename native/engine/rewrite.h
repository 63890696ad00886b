// Rewrites a subgraph so that its nodes skip the rows that do not matter.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_REWRITE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_REWRITE_H_

#include "native/engine/layout.h"
#include "native/engine/row-analysis.h"
#include "native/engine/row-plan.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Gives each value its form, each window node its plan, removes mask multiplies
// that have nothing left to do, and adds row copies where a node needs another
// form than its input has. Prepends the plans to *plans.
enum xnn_status rewrite_run(const struct row_analysis* analysis,
                            const enum value_form* forms,
                            struct row_plan** plans);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_REWRITE_H_
