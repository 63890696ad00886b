// Values that are planes of pixels: NHWC activations [N, H, W, C].

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_PLANE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_PLANE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnnpack/subgraph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct plane {
  uint32_t height;
  uint32_t width;
};

static inline size_t plane_pixels(struct plane plane) {
  return (size_t)plane.height * plane.width;
}

// H and W of a value of four dimensions.
static inline struct plane value_plane(const struct xnn_value* value) {
  return (struct plane){(uint32_t)value->shape.dim[1],
                        (uint32_t)value->shape.dim[2]};
}

// Whether the value is an activation with more than one pixel and known shape.
bool value_has_plane(const struct xnn_value* value);

// Whether both have the same H and W.
bool value_planes_match(const struct xnn_value* a, const struct xnn_value* b);

// Whether the value is equal for all pixels of a plane it is broadcast to.
bool value_is_equal_for_all_pixels(const struct xnn_value* value);

// Bytes of a row: all channels of one pixel.
size_t value_row_bytes(const struct xnn_value* value);

// The byte that zero rows are made of: the zero point of quantised types.
uint8_t value_zero_byte(const struct xnn_value* value);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_PLANE_H_
