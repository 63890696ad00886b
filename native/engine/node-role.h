// How a node treats the rows of its tensors.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_NODE_ROLE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_NODE_ROLE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/window.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum node_role {
  // Needs dense tensors.
  node_role_opaque,
  // Computes each output row from the same rows of its inputs, and from values
  // that are equal for all pixels: it runs unchanged on compact tensors.
  node_role_elementwise,
  // Computes each output row from a window of input rows that it finds through
  // an indirection buffer: convolution, depthwise convolution, max pooling.
  node_role_window,
  // Multiplies by an activation mask.
  node_role_mask,
};

// The role of a node that is not a mask multiply.
enum node_role node_role_of(const struct xnn_value* values,
                            const struct xnn_node* node);

// Whether input i of an elementwise node has rows of its own (rather than
// being equal for all pixels).
bool node_reads_rows(const struct xnn_value* values,
                     const struct xnn_node* node, size_t i);

// Of a window node: its window, with padding as TensorFlow places it if the
// node asks for that.
struct window node_window(const struct xnn_value* values,
                          const struct xnn_node* node);

// Whether a window node computes each row from the same one row, so that it
// runs unchanged from compact to compact tensor of equal rows.
bool node_is_pointwise(const struct xnn_value* values,
                       const struct xnn_node* node);

// Multiply-accumulates per output pixel of a window node; 0 for pooling.
uint64_t node_macs_per_pixel(const struct xnn_node* node);

// How an elementwise node maps zero rows.
enum zero_rule {
  // May be nonzero where all inputs are zero.
  zero_rule_none,
  // Zero where all row inputs are zero.
  zero_rule_all,
  // Zero where any row input is zero.
  zero_rule_any,
};

enum zero_rule node_zero_rule(const struct xnn_value* values,
                              const struct xnn_node* node);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_NODE_ROLE_H_
