#include "native/engine/row-plan.h"

#include <stddef.h>

#include "xnnpack/datatype.h"
#include "xnnpack/log.h"
#include "xnnpack/subgraph.h"

static uint8_t zero_byte(const struct xnn_value* value) {
  return xnn_datatype_is_quantized(value->datatype)
             ? (uint8_t)value->quantization.zero_point
             : 0;
}

static size_t row_bytes(const struct xnn_value* value) {
  return value->shape.dim[3] * xnn_datatype_size_bytes(value->datatype);
}

void row_plan_describe(struct row_plan* plan, const struct xnn_value* input,
                       const struct xnn_value* output) {
  plan->input_height = (uint32_t)input->shape.dim[1];
  plan->input_width = (uint32_t)input->shape.dim[2];
  plan->output_height = (uint32_t)output->shape.dim[1];
  plan->output_width = (uint32_t)output->shape.dim[2];
  plan->input_row_bytes = row_bytes(input);
  plan->output_row_bytes = row_bytes(output);
  plan->input_zero = zero_byte(input);
  plan->output_zero = zero_byte(output);
}

enum xnn_status row_plan_set_output_shape(const struct row_plan* plan,
                                          size_t batch_size, size_t channels,
                                          struct xnn_value* value) {
  const bool is_compact = plan->output != NULL && !plan->scatter;
  value->shape.num_dims = 4;
  value->shape.dim[0] = batch_size;
  value->shape.dim[1] = is_compact ? 1 : plan->output_height;
  value->shape.dim[2] = is_compact ? plan->output->count : plan->output_width;
  value->shape.dim[3] = channels;
  const size_t size = xnn_tensor_get_size(value);
  if (size <= value->size) {
    return xnn_status_success;
  }
  value->size = size;
  return xnn_status_reallocation_required;
}

enum xnn_status row_plan_check_input(const struct row_plan* plan,
                                     const struct xnn_value* value) {
  const size_t height = plan->input != NULL ? 1 : plan->input_height;
  const size_t width =
      plan->input != NULL ? plan->input->count : plan->input_width;
  if (value->shape.num_dims == 4 && value->shape.dim[1] == height &&
      value->shape.dim[2] == width) {
    return xnn_status_success;
  }
  xnn_log_error(
      "failed to reshape a masked graph: value %u has %zu x %zu pixels where "
      "its masks expect %zu x %zu; only the batch size may change",
      value->id, value->shape.dim[1], value->shape.dim[2], height, width);
  return xnn_status_invalid_parameter;
}
