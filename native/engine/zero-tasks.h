// What a thread does for an operator that skips zeros.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZERO_TASKS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZERO_TASKS_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Serial: decides what the invocations that follow do.
void zero_task_look(void* context, size_t index);

// Makes the lists of some stored rows.
void zero_task_find(void* context, size_t row_start, size_t num_rows);

// Computes a block of rows of some outputs of a product.
void zero_task_multiply(void* context, size_t thread, size_t product,
                        size_t part, size_t row_start, size_t num_rows);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZERO_TASKS_H_
