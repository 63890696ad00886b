// The parallel tasks of window operators. The first argument of each is the
// context of an operator that has a row state.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TASKS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TASKS_H_

#include <stddef.h>

#include "xnnpack/compute.h"

#ifdef __cplusplus
extern "C" {
#endif

// Taps of the largest pooling window that window_task_max_pooling takes.
#define WINDOW_MAX_POOLING_TAPS 256

// Computes a tile of channels and rows. Channels come first, so that one block
// of weights serves all rows while it is in cache. For a dense output, a tile
// goes through a buffer that stays in cache, its rows are put at their pixels,
// and the same share of the masked pixels is zeroed.
void window_task_igemm(const struct igemm_context* context, size_t batch,
                       size_t group, size_t channel_start, size_t row_start,
                       size_t num_channels, size_t num_rows);

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

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_TASKS_H_
