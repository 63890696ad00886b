// What an operator that skips zeros multiplies, and in which pieces.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ZERO_PRODUCT_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ZERO_PRODUCT_H_

#include <stdbool.h>
#include <stddef.h>

#include "native/engine/zero-state.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Why an operator cannot skip zeros, or NULL.
const char* zero_product_obstacle(const struct xnn_operator* op);

// The same for the kernel that it was given by reshape.
const char* zero_product_obstacle_of_shape(const struct xnn_operator* op);

// Describes the product of an operator that was reshaped.
void zero_product_describe(struct zero_skipping* skipping,
                           const struct xnn_value* input);

// Zero times infinity is NaN: a dense kernel would find it.
bool zero_product_has_finite_weights(const struct zero_skipping* skipping);

// Chooses how zeros are skipped, and cuts the product into tasks. Returns false
// when out of memory.
bool zero_product_cut(struct zero_skipping* skipping, size_t num_threads);

const float* zero_product_weights(const struct xnn_operator* op, size_t group);

// Rows of a tile of upstream's kernel.
size_t zero_product_tile_rows(const struct xnn_operator* op);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ZERO_PRODUCT_H_
