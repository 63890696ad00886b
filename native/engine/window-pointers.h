// Which input rows a window operator reads: the content of its indirection
// buffer, and the taps that read anything.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_POINTERS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_POINTERS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "xnnpack/operator.h"

#ifdef __cplusplus
extern "C" {
#endif

// Bit t is set if the plan's input stores the row under tap t (in raster order)
// of an output pixel's window.
uint64_t window_live_taps(const struct row_plan* plan, size_t pixel);

// Fills the operator's buffer as GEMM kernels want it: for each tile of MR rows
// and each tap, MR pointers. A last tile that is not full repeats its last row.
void window_point_igemm(const struct row_plan* plan, struct xnn_operator* op,
                        size_t mr);

// Fills it as depthwise and pooling kernels want it: the taps of each row in
// column order. Windows of poolings are clamped to the plane, those of
// convolutions padded with zeros. Returns the end of what was written.
const void** window_point_rows(const struct row_plan* plan,
                               struct xnn_operator* op, bool clamp);

// Finds the live taps of each tile; leaves plan->live_taps NULL if visiting
// those alone would not save enough. Returns false when out of memory.
bool window_find_live_taps(struct row_plan* plan, size_t mr);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_POINTERS_H_
