#include "native/engine/window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/node-role.h"
#include "native/engine/window-tasks.h"
#include "xnnpack/math.h"
#include "xnnpack/subgraph.h"

static uint32_t same_padding_before(size_t input, size_t output,
                                    uint32_t kernel, uint32_t stride,
                                    uint32_t dilation) {
  const size_t covered = (output - 1) * stride + (kernel - 1) * dilation + 1;
  return (uint32_t)(doz(covered, input) / 2);
}

// The same eight numbers, which upstream's nodes name in three ways.
#define WINDOW(params, kernel, stride, padding)  \
  (struct window) {                              \
    .kernel_height = (params).kernel##_height,   \
    .kernel_width = (params).kernel##_width,     \
    .stride_height = (params).stride##_height,   \
    .stride_width = (params).stride##_width,     \
    .dilation_height = (params).dilation_height, \
    .dilation_width = (params).dilation_width,   \
    .padding_top = (params).padding##_top,       \
    .padding_left = (params).padding##_left,     \
  }

static struct window window_as_written(const struct xnn_node* node) {
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      return WINDOW(node->params.convolution_2d, kernel, subsampling,
                    input_padding);
    case xnn_node_type_depthwise_convolution_2d:
      return WINDOW(node->params.depthwise_convolution_2d, kernel, subsampling,
                    input_padding);
    default:
      return WINDOW(node->params.pooling_2d, pooling, stride, padding);
  }
}

struct window window_of(const struct xnn_value* values,
                        const struct xnn_node* node) {
  struct window window = window_as_written(node);
  if (node->flags & XNN_FLAG_TENSORFLOW_SAME_PADDING) {
    const struct xnn_value* input = &values[node->inputs[0]];
    const struct xnn_value* output = &values[node->outputs[0]];
    window.padding_top = same_padding_before(
        input->shape.dim[1], output->shape.dim[1], window.kernel_height,
        window.stride_height, window.dilation_height);
    window.padding_left = same_padding_before(
        input->shape.dim[2], output->shape.dim[2], window.kernel_width,
        window.stride_width, window.dilation_width);
  }
  return window;
}

size_t window_num_taps(const struct window* window) {
  return (size_t)window->kernel_height * window->kernel_width;
}

bool window_can_skip_taps(const struct window* window) {
  return window_num_taps(window) > 1 && window_num_taps(window) <= 64;
}

bool window_node_is_supported(const struct xnn_value* values,
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
    const struct window window = window_of(values, node);
    return window_num_taps(&window) <= WINDOW_MAX_POOLING_TAPS &&
           (window.dilation_height | window.dilation_width) == 1;
  }
  return xnn_value_is_static(&values[node->inputs[1]]);
}

bool window_node_is_pointwise(const struct xnn_value* values,
                              const struct xnn_node* node) {
  const struct window window = window_of(values, node);
  return node->type != xnn_node_type_max_pooling_2d &&
         (window.kernel_height | window.kernel_width | window.stride_height |
          window.stride_width) == 1 &&
         (window.padding_top | window.padding_left) == 0 &&
         value_planes_match(&values[node->inputs[0]],
                            &values[node->outputs[0]]);
}

bool window_node_is_per_channel(const struct xnn_value* values,
                                const struct xnn_node* node) {
  if (!window_node_is_pointwise(values, node)) {
    return false;
  }
  return node->type == xnn_node_type_convolution_2d
             ? (node->params.convolution_2d.group_input_channels |
                node->params.convolution_2d.group_output_channels) == 1
             : node->params.depthwise_convolution_2d.depth_multiplier == 1;
}

uint64_t window_node_macs_per_pixel(const struct xnn_node* node) {
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      return (uint64_t)node->params.convolution_2d.kernel_height *
             node->params.convolution_2d.kernel_width *
             node->params.convolution_2d.group_input_channels *
             node->params.convolution_2d.groups *
             node->params.convolution_2d.group_output_channels;
    case xnn_node_type_depthwise_convolution_2d:
      return (uint64_t)node->params.depthwise_convolution_2d.kernel_height *
             node->params.depthwise_convolution_2d.kernel_width *
             node->params.depthwise_convolution_2d.input_channels *
             node->params.depthwise_convolution_2d.depth_multiplier;
    default:
      return 0;
  }
}
