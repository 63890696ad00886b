#include "native/engine/plane.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnnpack/datatype.h"
#include "xnnpack/subgraph.h"

bool value_has_plane(const struct xnn_value* value) {
  return value->type == xnn_value_type_dense_tensor &&
         value->layout == xnn_layout_type_nhwc && !xnn_value_is_static(value) &&
         value->shape.num_dims == 4 && value->shape.dim[0] != 0 &&
         value->shape.dim[3] != 0 &&
         value->shape.dim[1] * value->shape.dim[2] > 1 &&
         value->shape.dim[1] * value->shape.dim[2] < UINT32_MAX;
}

bool value_planes_match(const struct xnn_value* a, const struct xnn_value* b) {
  return a->shape.dim[1] == b->shape.dim[1] &&
         a->shape.dim[2] == b->shape.dim[2];
}

bool value_is_equal_for_all_pixels(const struct xnn_value* value) {
  const size_t rank = value->shape.num_dims;
  return value->type == xnn_value_type_dense_tensor && rank <= 4 &&
         (rank < 2 || value->shape.dim[rank - 2] == 1) &&
         (rank < 3 || value->shape.dim[rank - 3] == 1);
}

size_t value_row_bytes(const struct xnn_value* value) {
  return value->shape.dim[3] * xnn_datatype_size_bytes(value->datatype);
}

uint8_t value_zero_byte(const struct xnn_value* value) {
  return xnn_datatype_is_quantized(value->datatype)
             ? (uint8_t)value->quantization.zero_point
             : 0;
}
