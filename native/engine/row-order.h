// Chooses the order of rows in compact tensors.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_ORDER_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_ORDER_H_

#include <stdbool.h>

#include "native/engine/layout.h"
#include "native/engine/row-analysis.h"

#ifdef __cplusplus
extern "C" {
#endif

// Row sets whose rows are computed by convolutions that can skip dead taps are
// ordered so that the rows of a tile have few live taps between them; all
// others stay in raster order. Returns false when out of memory.
bool row_order_choose(const struct row_analysis* analysis,
                      const enum value_form* forms);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_ORDER_H_
