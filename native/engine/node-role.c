#include "native/engine/node-role.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/plane.h"
#include "native/engine/threshold.h"
#include "native/engine/window-tasks.h"
#include "native/engine/window.h"
#include "xnnpack/math.h"
#include "xnnpack/node-type.h"
#include "xnnpack/subgraph.h"

// Upstream's three kinds of windows have one layout under three sets of names.
// Each of these is checked to lie where pooling_2d's does.
#define SAME_PLACE(kind, field, pooling_field)                        \
  _Static_assert(                                                     \
      offsetof(struct xnn_node, params.kind.field) ==                 \
          offsetof(struct xnn_node, params.pooling_2d.pooling_field), \
      "upstream has moved " #kind "." #field)
#define SAME_WINDOW(kind)                              \
  SAME_PLACE(kind, input_padding_top, padding_top);    \
  SAME_PLACE(kind, input_padding_left, padding_left);  \
  SAME_PLACE(kind, kernel_height, pooling_height);     \
  SAME_PLACE(kind, kernel_width, pooling_width);       \
  SAME_PLACE(kind, subsampling_height, stride_height); \
  SAME_PLACE(kind, subsampling_width, stride_width);   \
  SAME_PLACE(kind, dilation_height, dilation_height);  \
  SAME_PLACE(kind, dilation_width, dilation_width)
SAME_WINDOW(convolution_2d);
SAME_WINDOW(depthwise_convolution_2d);

static uint32_t same_padding_before(size_t input, size_t output,
                                    uint32_t kernel, uint32_t stride,
                                    uint32_t dilation) {
  const size_t covered = (output - 1) * stride + (kernel - 1) * dilation + 1;
  return (uint32_t)(doz(covered, input) / 2);
}

struct window node_window(const struct xnn_value* values,
                          const struct xnn_node* node) {
  struct window window = {
      .kernel_height = node->params.pooling_2d.pooling_height,
      .kernel_width = node->params.pooling_2d.pooling_width,
      .stride_height = node->params.pooling_2d.stride_height,
      .stride_width = node->params.pooling_2d.stride_width,
      .dilation_height = node->params.pooling_2d.dilation_height,
      .dilation_width = node->params.pooling_2d.dilation_width,
      .padding_top = node->params.pooling_2d.padding_top,
      .padding_left = node->params.pooling_2d.padding_left,
      .is_clamped = node->type == xnn_node_type_max_pooling_2d,
      .input = value_plane(&values[node->inputs[0]]),
      .output = value_plane(&values[node->outputs[0]]),
  };
  if (node->flags & XNN_FLAG_TENSORFLOW_SAME_PADDING) {
    window.padding_top = same_padding_before(
        window.input.height, window.output.height, window.kernel_height,
        window.stride_height, window.dilation_height);
    window.padding_left = same_padding_before(
        window.input.width, window.output.width, window.kernel_width,
        window.stride_width, window.dilation_width);
  }
  return window;
}

bool node_is_pointwise(const struct xnn_value* values,
                       const struct xnn_node* node) {
  const struct window window = node_window(values, node);
  return node->type != xnn_node_type_max_pooling_2d &&
         window_is_identity(&window);
}

// Whether, on top of that, each output channel comes from one input channel: a
// scale and an offset, which upstream does not run as a convolution.
static bool is_per_channel(const struct xnn_value* values,
                           const struct xnn_node* node) {
  return node_is_pointwise(values, node) &&
         (node->type == xnn_node_type_convolution_2d
              ? (node->params.convolution_2d.group_input_channels |
                 node->params.convolution_2d.group_output_channels) == 1
              : node->params.depthwise_convolution_2d.depth_multiplier == 1);
}

uint64_t node_macs_per_pixel(const struct xnn_node* node) {
  const uint64_t taps = (uint64_t)node->params.pooling_2d.pooling_height *
                        node->params.pooling_2d.pooling_width;
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      return taps * node->params.convolution_2d.group_input_channels *
             node->params.convolution_2d.groups *
             node->params.convolution_2d.group_output_channels;
    case xnn_node_type_depthwise_convolution_2d:
      return taps * node->params.depthwise_convolution_2d.input_channels *
             node->params.depthwise_convolution_2d.depth_multiplier;
    default:
      return 0;
  }
}

// Whether the engine can run a convolution or pooling on rows.
static bool is_supported_window(const struct xnn_value* values,
                                const struct xnn_node* node) {
  const struct xnn_value* input = &values[node->inputs[0]];
  const struct xnn_value* output = &values[node->outputs[0]];
  if (input->datatype != output->datatype ||
      input->layout != xnn_layout_type_nhwc ||
      output->layout != xnn_layout_type_nhwc || input->shape.num_dims != 4 ||
      output->shape.num_dims != 4 || xnn_value_is_static(input) ||
      xnn_shape_multiply_all_dims(&input->shape) == 0 ||
      xnn_shape_multiply_all_dims(&output->shape) == 0) {
    return false;
  }
  switch (input->datatype) {
    case xnn_datatype_fp32:
    case xnn_datatype_fp16:
    case xnn_datatype_qint8:
    case xnn_datatype_quint8:
      break;
    default:
      return false;
  }
  if (node->type == xnn_node_type_max_pooling_2d) {
    const struct window window = node_window(values, node);
    return window_num_taps(&window) <= WINDOW_MAX_POOLING_TAPS &&
           (window.dilation_height | window.dilation_width) == 1;
  }
  return xnn_value_is_static(&values[node->inputs[1]]);
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

static bool maps_rows(const struct xnn_value* values,
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
    } else if (!value_is_equal_for_all_pixels(input)) {
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
      if (!is_supported_window(values, node)) {
        return node_role_opaque;
      }
      if (!is_per_channel(values, node)) {
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
  return maps_rows(values, node) ? node_role_elementwise : node_role_opaque;
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
  if (threshold_is(node)) {
    return node_reads_rows(values, node, 0) ? zero_rule_all : zero_rule_none;
  }
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
