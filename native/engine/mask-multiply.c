#include "native/engine/mask-multiply.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "native/engine/node-role.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/subgraph.h"

// A quantised product is rounded to the nearest integer after it was scaled
// by input scale x mask scale / output scale. The product of an input q
// (|q - zero point| <= 255) with a one stays q as long as the relative error
// of that factor is below 0.5 / 255.
static const float kMaxRelativeScaleError = 0.4f / 255.0f;

static bool is_one(float value, bool quantized) {
  return quantized ? fabsf(value - 1.0f) <= kMaxRelativeScaleError
                   : value == 1.0f;
}

static bool is_quantized(enum xnn_datatype datatype) {
  return datatype == xnn_datatype_qint8 || datatype == xnn_datatype_quint8;
}

static bool is_readable(enum xnn_datatype datatype) {
  return datatype == xnn_datatype_fp32 || datatype == xnn_datatype_fp16 ||
         is_quantized(datatype);
}

static float read_element(const struct xnn_value* value, size_t index) {
  switch (value->datatype) {
    case xnn_datatype_fp32:
      return ((const float*)value->data)[index];
    case xnn_datatype_fp16:
      return xnn_float16_to_float(((const xnn_float16*)value->data)[index]);
    case xnn_datatype_qint8:
      return value->quantization.scale *
             (float)(((const int8_t*)value->data)[index] -
                     value->quantization.zero_point);
    default:
      return value->quantization.scale *
             (float)(((const uint8_t*)value->data)[index] -
                     value->quantization.zero_point);
  }
}

// Dimension counted from the last; missing leading dimensions are 1.
static size_t dim_from_end(const struct xnn_value* value, size_t from_end) {
  return from_end < value->shape.num_dims
             ? value->shape.dim[value->shape.num_dims - 1 - from_end]
             : 1;
}

// A static value that varies over pixels and has one channel.
static bool is_mask_like(const struct xnn_value* value) {
  return xnn_value_is_static(value) && value->data != NULL &&
         value->shape.num_dims >= 2 && value->shape.num_dims <= 4 &&
         dim_from_end(value, 0) == 1 &&
         (dim_from_end(value, 1) != 1 || dim_from_end(value, 2) != 1);
}

static enum mask_verdict read_mask(const struct xnn_value* mask,
                                   const struct xnn_value* output,
                                   uint8_t* kept,
                                   struct mask_multiply* multiply) {
  const size_t height = output->shape.dim[1];
  const size_t width = output->shape.dim[2];
  if (dim_from_end(mask, 1) != width || dim_from_end(mask, 2) != height ||
      dim_from_end(mask, 3) != 1) {
    snprintf(multiply->reason, sizeof(multiply->reason),
             "the mask is [%zu, %zu, %zu, 1], expected [1, %zu, %zu, 1] as its "
             "layer's output",
             dim_from_end(mask, 3), dim_from_end(mask, 2),
             dim_from_end(mask, 1), height, width);
    return mask_verdict_unusable;
  }
  if (!is_readable(mask->datatype)) {
    snprintf(multiply->reason, sizeof(multiply->reason),
             "the mask's type is %s, expected float32, float16, int8 or uint8",
             xnn_datatype_to_string(mask->datatype));
    return mask_verdict_unusable;
  }
  size_t num_kept = 0;
  for (size_t p = 0; p < height * width; p++) {
    const float value = read_element(mask, p);
    if (value != 0.0f && !is_one(value, is_quantized(mask->datatype))) {
      snprintf(multiply->reason, sizeof(multiply->reason),
               "the mask holds %g at pixel (y %zu, x %zu), expected only 0 "
               "and 1",
               (double)value, p / width, p % width);
      return mask_verdict_unusable;
    }
    kept[p] = value != 0.0f;
    num_kept += kept[p];
  }
  if (num_kept == 0) {
    snprintf(multiply->reason, sizeof(multiply->reason),
             "the mask keeps no pixel of %zu x %zu", height, width);
    return mask_verdict_unusable;
  }
  return mask_verdict_mask;
}

static bool kept_values_pass_unchanged(const struct xnn_value* input,
                                       const struct xnn_value* output,
                                       struct mask_multiply* multiply) {
  if (input->datatype != output->datatype) {
    snprintf(multiply->reason, sizeof(multiply->reason),
             "the multiply reads %s and writes %s, expected equal types",
             xnn_datatype_to_string(input->datatype),
             xnn_datatype_to_string(output->datatype));
    return false;
  }
  if (!is_quantized(input->datatype)) {
    return true;
  }
  const float in_scale = input->quantization.scale;
  const float out_scale = output->quantization.scale;
  if (input->quantization.zero_point == output->quantization.zero_point &&
      fabsf(in_scale - out_scale) <= kMaxRelativeScaleError * out_scale) {
    return true;
  }
  snprintf(multiply->reason, sizeof(multiply->reason),
           "the multiply requantises from scale %g, zero point %" PRId32
           " to scale %g, zero point %" PRId32
           ", which changes kept values; convert the model with equal ones",
           (double)in_scale, input->quantization.zero_point, (double)out_scale,
           output->quantization.zero_point);
  return false;
}

enum mask_verdict mask_multiply_recognise(const struct xnn_value* values,
                                          const struct xnn_node* node,
                                          uint8_t* kept,
                                          struct mask_multiply* multiply) {
  if (node->type != xnn_node_type_binary_elementwise ||
      node->binary_operator != xnn_binary_multiply) {
    return mask_verdict_not_a_mask;
  }
  const struct xnn_value* output = &values[node->outputs[0]];
  for (size_t i = 0; i < 2; i++) {
    multiply->mask_id = node->inputs[i];
    multiply->input_id = node->inputs[1 - i];
    const struct xnn_value* input = &values[multiply->input_id];
    const struct xnn_value* mask = &values[multiply->mask_id];
    if (!is_mask_like(mask) || !value_has_plane(input) ||
        !value_has_plane(output) || !value_planes_match(input, output)) {
      continue;
    }
    const enum mask_verdict verdict = read_mask(mask, output, kept, multiply);
    if (verdict == mask_verdict_mask &&
        !kept_values_pass_unchanged(input, output, multiply)) {
      return mask_verdict_unusable;
    }
    return verdict;
  }
  return mask_verdict_not_a_mask;
}
