// Whether a convolution that writes a dense tensor should skip masked pixels.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_INSERTION_RULE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_INSERTION_RULE_H_

#include <stdbool.h>

#include "native/engine/row-set.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// True if computing `rows` alone, putting them at their pixels and inserting
// zeros is faster than computing every pixel and zeroing the masked ones.
bool insertion_pays(const struct xnn_value* values, const struct xnn_node* node,
                    const struct row_set* rows);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_INSERTION_RULE_H_
