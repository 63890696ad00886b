// Chooses which values are stored compact: as kept rows only.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_LAYOUT_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_LAYOUT_H_

#include <stdbool.h>

#include "native/engine/row-analysis.h"

#ifdef __cplusplus
extern "C" {
#endif

// Fills is_compact[num_values]. Returns false when out of memory.
bool layout_choose(const struct row_analysis* analysis, bool* is_compact);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_LAYOUT_H_
