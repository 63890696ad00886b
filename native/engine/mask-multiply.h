// Recognises multiplies by an activation mask.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_MASK_MULTIPLY_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_MASK_MULTIPLY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mask_verdict {
  // Not of the form value x static [1, H, W, 1].
  mask_verdict_not_a_mask,
  // Of that form, but the multiply has to run; `reason` says why.
  mask_verdict_unusable,
  mask_verdict_mask,
};

struct mask_multiply {
  // The value that is masked, and the static one that masks it.
  uint32_t input_id;
  uint32_t mask_id;
  char reason[192];
};

// Classifies a node. If it multiplies by a mask, kept[H x W], which the caller
// has sized by the node's output, receives 1 where the mask is 1 and 0 where
// it is 0.
enum mask_verdict mask_multiply_recognise(const struct xnn_value* values,
                                          const struct xnn_node* node,
                                          uint8_t* kept,
                                          struct mask_multiply* multiply);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_MASK_MULTIPLY_H_
