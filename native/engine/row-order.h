// Chooses the order of rows in compact tensors.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_ORDER_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_ORDER_H_

#include <stdbool.h>

#include "native/engine/layout.h"
#include "native/engine/row-analysis.h"

#ifdef __cplusplus
extern "C" {
#endif

// Row sets between which a convolution can skip dead taps are ordered so that
// rows with the same live taps follow one another and share tiles; all others
// stay in raster order. Returns false when out of memory.
bool row_order_choose(const struct row_analysis* analysis,
                      const enum value_form* forms);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_ORDER_H_
