#include "native/engine/node-role.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/window.h"
#include "xnnpack/node-type.h"
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

// Whether the value is equal for all pixels of a plane it is broadcast to.
static bool is_equal_for_all_pixels(const struct xnn_value* value) {
  const size_t rank = value->shape.num_dims;
  return value->type == xnn_value_type_dense_tensor && rank <= 4 &&
         (rank < 2 || value->shape.dim[rank - 2] == 1) &&
         (rank < 3 || value->shape.dim[rank - 3] == 1);
}

bool node_reads_rows(const struct xnn_value* values,
                     const struct xnn_node* node, size_t i) {
  return value_has_plane(&values[node->inputs[i]]);
}

static bool writes_planes_like(const struct xnn_value* values,
                               const struct xnn_node* node,
                               const struct xnn_value* plane) {
  for (size_t i = 0; i < node->num_outputs; i++) {
    const struct xnn_value* output = &values[node->outputs[i]];
    if (!value_has_plane(output) || !value_planes_match(output, plane)) {
      return false;
    }
  }
  return true;
}

static bool is_pointwise(const struct xnn_value* values,
                         const struct xnn_node* node) {
  const struct xnn_value* output = &values[node->outputs[0]];
  if (!value_has_plane(output) || !writes_planes_like(values, node, output)) {
    return false;
  }
  size_t num_row_inputs = 0;
  for (size_t i = 0; i < node->num_inputs; i++) {
    const struct xnn_value* input = &values[node->inputs[i]];
    if (value_has_plane(input) && value_planes_match(input, output)) {
      num_row_inputs++;
    } else if (!is_equal_for_all_pixels(input)) {
      return false;
    }
  }
  return num_row_inputs != 0;
}

static bool is_channel_axis(int32_t axis) { return axis == 3 || axis == -1; }

enum node_role node_role_of(const struct xnn_value* values,
                            const struct xnn_node* node) {
  switch (node->type) {
    case xnn_node_type_convolution_2d:
    case xnn_node_type_depthwise_convolution_2d:
    case xnn_node_type_max_pooling_2d:
      if (!window_node_is_supported(values, node)) {
        return node_role_opaque;
      }
      if (!window_node_is_per_channel(values, node)) {
        return node_role_window;
      }
      break;
    case xnn_node_type_unary_elementwise:
    case xnn_node_type_convert:
      // Dynamic quantisation finds its range over whole tensors.
      if (values[node->outputs[0]].datatype == xnn_datatype_qdint8) {
        return node_role_opaque;
      }
      break;
    case xnn_node_type_binary_elementwise:
    case xnn_node_type_copy:
      break;
    case xnn_node_type_concatenate2:
    case xnn_node_type_concatenate3:
    case xnn_node_type_concatenate4:
    case xnn_node_type_concatenate5:
      if (!is_channel_axis(node->params.concatenate.axis)) {
        return node_role_opaque;
      }
      break;
    case xnn_node_type_even_split2:
    case xnn_node_type_even_split3:
    case xnn_node_type_even_split4:
      if (!is_channel_axis(node->params.even_split.axis)) {
        return node_role_opaque;
      }
      break;
    default:
      return node_role_opaque;
  }
  return is_pointwise(values, node) ? node_role_elementwise : node_role_opaque;
}

static bool unary_keeps_zero(const struct xnn_node* node) {
  switch (node->unary_operator) {
    case xnn_unary_abs:
    case xnn_unary_bankers_rounding:
    case xnn_unary_ceiling:
    case xnn_unary_convert:
    case xnn_unary_cube_root:
    case xnn_unary_elu:
    case xnn_unary_floor:
    case xnn_unary_gelu:
    case xnn_unary_hardswish:
    case xnn_unary_leaky_relu:
    case xnn_unary_negate:
    case xnn_unary_sign:
    case xnn_unary_sine:
    case xnn_unary_square:
    case xnn_unary_square_root:
    case xnn_unary_tanh:
      return true;
    case xnn_unary_clamp:
      return node->params.unary.clamp.min <= 0.0f &&
             node->params.unary.clamp.max >= 0.0f;
    default:
      return false;
  }
}

static enum zero_rule binary_zero_rule(const struct xnn_value* values,
                                       const struct xnn_node* node) {
  const bool all_have_rows =
      node_reads_rows(values, node, 0) && node_reads_rows(values, node, 1);
  switch (node->binary_operator) {
    case xnn_binary_multiply:
      return zero_rule_any;
    case xnn_binary_add:
    case xnn_binary_subtract:
    case xnn_binary_maximum:
    case xnn_binary_minimum:
    case xnn_binary_squared_difference:
      return all_have_rows ? zero_rule_all : zero_rule_none;
    case xnn_binary_prelu:
      return node_reads_rows(values, node, 0) ? zero_rule_all : zero_rule_none;
    default:
      return zero_rule_none;
  }
}

enum zero_rule node_zero_rule(const struct xnn_value* values,
                              const struct xnn_node* node) {
  switch (node->type) {
    case xnn_node_type_unary_elementwise:
      return unary_keeps_zero(node) ? zero_rule_all : zero_rule_none;
    case xnn_node_type_binary_elementwise:
      return binary_zero_rule(values, node);
    case xnn_node_type_copy:
    case xnn_node_type_convert:
    case xnn_node_type_concatenate2:
    case xnn_node_type_concatenate3:
    case xnn_node_type_concatenate4:
    case xnn_node_type_concatenate5:
    case xnn_node_type_even_split2:
    case xnn_node_type_even_split3:
    case xnn_node_type_even_split4:
      return zero_rule_all;
    default:
      return zero_rule_none;
  }
}
