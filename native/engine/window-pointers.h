// Which input rows a window operator reads: the content of its indirection
// buffer, and the taps that read anything.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_POINTERS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_POINTERS_H_

#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "xnnpack/operator.h"

#ifdef __cplusplus
extern "C" {
#endif

// Fills the operator's buffer as GEMM kernels want it: for each tile of MR rows
// and each tap, MR pointers. A last tile that is not full repeats its last row.
void window_point_igemm(struct xnn_operator* op, size_t mr);

// Fills it as depthwise and pooling kernels want it: the taps of each row in
// column order. Returns the end of what was written.
const void** window_point_rows(struct xnn_operator* op);

// The live taps of each tile of MR rows, and their share of all; NULL when out
// of memory.
uint64_t* window_find_live_taps(const struct row_plan* plan, size_t mr,
                                double* share);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_POINTERS_H_
