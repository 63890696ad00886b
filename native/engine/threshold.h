// Thresholds: y = x where x > t, else 0, which a file writes as
//
//   x * min(ceil(relu(x - t)), 1)
//
// five nodes that become one. It gives their numbers, x * 0 or x * 1, for all x
// (0.0 may become -0.0, or the other way around); only a mode of the processor
// that flushes denormal numbers to zero would tell them apart, as x - t may be
// one.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_THRESHOLD_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_THRESHOLD_H_

#include <stdbool.h>

#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Makes the nodes of each threshold one, where t is static, finite, float32,
// and nothing else reads what is between. The subgraph's consumers and
// producers have been analysed.
void threshold_fuse(struct xnn_subgraph* subgraph);

// Whether a node is such a one: inputs x and t.
bool threshold_is(const struct xnn_node* node);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_THRESHOLD_H_
