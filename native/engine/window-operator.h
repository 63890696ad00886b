// Convolutions and max poolings that read and write chosen rows.
//
// Such an operator runs as a one-dimensional one: an output of 1 x K pixels,
// each with a window of T taps of its own. Upstream's micro-kernels do that
// as they are, since they find every input row through an indirection buffer;
// only the buffer's content is ours.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_OPERATOR_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_OPERATOR_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-plan.h"
#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether the node is of a kind and type that window_operator_attach takes.
bool window_operator_supports(const struct xnn_value* values,
                              const struct xnn_node* node);

// Whether the node computes each row from the same one row, so that it runs
// unchanged from compact to compact tensor of equal rows.
bool window_operator_is_pointwise(const struct xnn_value* values,
                                  const struct xnn_node* node);

// Whether, on top of that, each output channel comes from one input channel: a
// scale and an offset, which upstream does not run as a convolution.
bool window_operator_is_per_channel(const struct xnn_value* values,
                                    const struct xnn_node* node);

struct window window_of(const struct xnn_value* values,
                        const struct xnn_node* node);

// Whether a window has taps to skip, and no more than fit a set of 64.
bool window_can_skip_taps(const struct window* window);

// Bit t is set if the plan's input stores the row under tap t (in raster order)
// of an output pixel's window.
uint64_t window_live_taps(const struct row_plan* plan, size_t pixel);

// Multiply-accumulates per output pixel; 0 for pooling.
uint64_t window_operator_macs_per_pixel(const struct xnn_node* node);

// Makes the node create and run its operator by the plan, whose row sets and
// planes are set.
void window_operator_attach(const struct xnn_value* values,
                            struct xnn_node* node, struct row_plan* plan);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_WINDOW_OPERATOR_H_
