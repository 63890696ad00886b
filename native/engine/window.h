// Windows of convolutions and poolings, and what their nodes are like.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// A window of a convolution or pooling, as its node defines it.
struct window {
  uint32_t kernel_height;
  uint32_t kernel_width;
  uint32_t stride_height;
  uint32_t stride_width;
  uint32_t dilation_height;
  uint32_t dilation_width;
  uint32_t padding_top;
  uint32_t padding_left;
};

// Whether the node is of a kind and type that the engine can run on rows.
bool window_node_is_supported(const struct xnn_value* values,
                              const struct xnn_node* node);

// Whether the node computes each row from the same one row, so that it runs
// unchanged from compact to compact tensor of equal rows.
bool window_node_is_pointwise(const struct xnn_value* values,
                              const struct xnn_node* node);

// Whether, on top of that, each output channel comes from one input channel: a
// scale and an offset, which upstream does not run as a convolution.
bool window_node_is_per_channel(const struct xnn_value* values,
                                const struct xnn_node* node);

// The window of a convolution, depthwise convolution or pooling; padding as
// TensorFlow places it if the node asks for that.
struct window window_of(const struct xnn_value* values,
                        const struct xnn_node* node);

size_t window_num_taps(const struct window* window);

// Whether a window has taps to skip, and no more than fit a set of 64.
bool window_can_skip_taps(const struct window* window);

// Multiply-accumulates per output pixel; 0 for pooling.
uint64_t window_node_macs_per_pixel(const struct xnn_node* node);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_H_
