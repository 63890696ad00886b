// The account of what became of each mask.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_MASKED_LAYERS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_MASKED_LAYERS_H_

#include <stdbool.h>
#include <stddef.h>

#include "native/engine/layout.h"
#include "native/engine/row-analysis.h"
#include "native/engine/sparsity.h"

#ifdef __cplusplus
extern "C" {
#endif

// Multiplies of the graph that are masks or look like ones.
size_t masked_layers_count(const struct row_analysis* analysis);

// Describes them, in execution order, for the chosen forms. Returns false when
// out of memory.
bool masked_layers_describe(const struct row_analysis* analysis,
                            const enum value_form* forms,
                            struct xnn_masked_layer* layers);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_MASKED_LAYERS_H_
