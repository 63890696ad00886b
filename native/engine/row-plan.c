#include "native/engine/row-plan.h"

#include <stdbool.h>
#include <stddef.h>

#include "native/engine/plane.h"
#include "xnnpack/log.h"
#include "xnnpack/subgraph.h"

void row_plan_describe(struct row_plan* plan, const struct xnn_value* input,
                       const struct xnn_value* output) {
  plan->datatype = input->datatype;
  plan->input_row_bytes = value_row_bytes(input);
  plan->output_row_bytes = value_row_bytes(output);
  plan->input_zero = value_zero_byte(input);
  plan->output_zero = value_zero_byte(output);
}

enum xnn_status row_plan_set_output_shape(const struct row_plan* plan,
                                          size_t batch_size, size_t channels,
                                          struct xnn_value* value) {
  const bool is_compact = plan->output != NULL && !plan->scatter;
  const struct plane plane =
      is_compact ? (struct plane){1, plan->output->count} : plan->window.output;
  value->shape.num_dims = 4;
  value->shape.dim[0] = batch_size;
  value->shape.dim[1] = plane.height;
  value->shape.dim[2] = plane.width;
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
  const struct plane plane = plan->input != NULL
                                 ? (struct plane){1, plan->input->count}
                                 : plan->window.input;
  if (value->shape.num_dims == 4 && value->shape.dim[1] == plane.height &&
      value->shape.dim[2] == plane.width) {
    return xnn_status_success;
  }
  xnn_log_error(
      "failed to reshape a masked graph: value %u has %zu x %zu pixels where "
      "its masks expect %u x %u; only the batch size may change",
      value->id, value->shape.dim[1], value->shape.dim[2], plane.height,
      plane.width);
  return xnn_status_invalid_parameter;
}
