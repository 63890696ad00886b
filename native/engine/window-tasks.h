// What the threads of window operators do. A context is that of an operator
// that has a row state.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TASKS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TASKS_H_

#include <stddef.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/row-plan.h"
#include "xnnpack/compute.h"
#include "xnnpack/operator.h"

#ifdef __cplusplus
extern "C" {
#endif

// Taps of the largest pooling window that window_task_max_pooling takes.
#define WINDOW_MAX_POOLING_TAPS 256

// Computes a block of channels and rows of a convolution, tile by tile. For a
// dense output, a tile goes through a buffer that stays in cache, its rows are
// put at their pixels, and the same share of the masked pixels is zeroed.
void window_run_convolution(const struct xnn_operator* op,
                            const struct gemm_block* block);

// Has `run_all` compute a block between dense tensors, some rows at a time, of
// which the masked ones are zeroed while they are in cache.
void window_run_and_zero(const struct xnn_operator* op,
                         const struct gemm_block* block);

// Zeroes the masked pixels of a block of such a convolution.
void window_zero_block(const struct xnn_operator* op,
                       const struct gemm_block* block);

// Each computes rows [row_start, row_start + num_rows) of one batch element
// into their places, and zeroes the same share of the masked pixels.
void window_task_dwconv(const struct dwconv_context* context, size_t batch,
                        size_t row_start, size_t num_rows);
void window_task_max_pooling(const struct max_pooling_context* context,
                             size_t batch, size_t row_start, size_t num_rows);

// Zeroes the masked pixels [start, start + count) of the operator's output. The
// context is of any kind.
void window_task_zero(const void* context, size_t batch, size_t start,
                      size_t count);

// Zeroes, in `bytes` of each row from `output` on, as large a share of the
// masked pixels as [row_start, row_start + num_rows) is of the kept ones.
void window_insert_zeros(const struct row_plan* plan, void* output,
                         size_t row_start, size_t num_rows, size_t bytes);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TASKS_H_
