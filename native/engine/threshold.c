#include "native/engine/threshold.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnnpack.h"
#include "xnnpack/config-types.h"
#include "xnnpack/node-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

// --- kernels ---------------------------------------------------------------

// Times 0, not 0: NaN and -infinity have to become NaN, as where they are
// multiplied.
static inline float above(float x, float t) {
  return x * (x > t ? 1.0f : 0.0f);
}

// Sanitizers build without the optimisation that is asked for.
#pragma clang diagnostic ignored "-Wpass-failed"

// The output may be where an input is, at the same places.
#define EACH(i, count)                                              \
  _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; \
                                                      i < (count); i++)

static void run_each(size_t bytes, const void* values, const void* thresholds,
                     void* output, const void* params) {
  (void)params;
  const float* x = values;
  const float* t = thresholds;
  float* y = output;
  EACH(i, bytes / sizeof(float)) { y[i] = above(x[i], t[i]); }
}

static void run_one_threshold(size_t bytes, const void* values,
                              const void* threshold, void* output,
                              const void* params) {
  (void)params;
  const float* x = values;
  const float t = *(const float*)threshold;
  float* y = output;
  EACH(i, bytes / sizeof(float)) { y[i] = above(x[i], t); }
}

static void run_one_value(size_t bytes, const void* thresholds,
                          const void* value, void* output, const void* params) {
  (void)params;
  const float* t = thresholds;
  const float x = *(const float*)value;
  float* y = output;
  EACH(i, bytes / sizeof(float)) { y[i] = above(x, t[i]); }
}

#undef EACH

// Upstream's operator for two inputs, whatever their shapes, runs any function.
static const struct xnn_binary_elementwise_config kKernels = {
    .op_ukernel = run_each,
    .opc_ukernel = run_one_threshold,
    .ropc_ukernel = run_one_value,
    .element_tile = 16,
};

static enum xnn_status create_threshold(const struct xnn_node* node,
                                        const struct xnn_value* values,
                                        size_t num_values,
                                        struct xnn_operator_data* opdata,
                                        struct xnn_code_cache* code_cache,
                                        xnn_weights_cache_t weights_cache) {
  (void)values;
  (void)num_values;
  (void)code_cache;
  (void)weights_cache;
  const enum xnn_status status = xnn_create_binary_elementwise_nd(
      node->binary_operator, xnn_datatype_fp32, NULL, NULL, NULL, node->flags,
      &opdata->operator_objects[0]);
  if (status == xnn_status_success) {
    opdata->operator_objects[0]->binary_elementwise_config = &kKernels;
  }
  return status;
}

bool threshold_is(const struct xnn_node* node) {
  return node->create == create_threshold;
}

// --- recognition -----------------------------------------------------------

// A threshold's nodes, from the last to the first.
enum { kMultiply, kMinimum, kCeiling, kRelu, kSubtract, kNumNodes };

struct chain {
  struct xnn_node* nodes[kNumNodes];
};

static bool is_static_float(const struct xnn_value* value) {
  return xnn_value_is_static(value) && value->datatype == xnn_datatype_fp32 &&
         value->data != NULL;
}

// The node that writes a value that only one other reads; NULL if it is none.
static struct xnn_node* only_producer(const struct xnn_subgraph* subgraph,
                                      uint32_t id) {
  const struct xnn_value* value = &subgraph->values[id];
  return value->producer == XNN_INVALID_NODE_ID || value->num_consumers != 1 ||
                 xnn_value_is_persistent(value)
             ? NULL
             : &subgraph->nodes[value->producer];
}

static bool is_unary(const struct xnn_node* node, enum xnn_unary_operator op) {
  return node != NULL && node->type == xnn_node_type_unary_elementwise &&
         node->unary_operator == op;
}

static bool is_binary(const struct xnn_node* node,
                      enum xnn_binary_operator op) {
  return node != NULL && node->type == xnn_node_type_binary_elementwise &&
         node->binary_operator == op && node->create != create_threshold;
}

static bool is_one(const struct xnn_value* value,
                   const struct xnn_value* output) {
  return is_static_float(value) &&
         xnn_shape_multiply_all_dims(&value->shape) == 1 &&
         value->shape.num_dims <= output->shape.num_dims &&
         *(const float*)value->data == 1.0f;
}

static bool is_finite(const struct xnn_value* value) {
  const size_t count = xnn_shape_multiply_all_dims(&value->shape);
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(((const float*)value->data)[i])) {
      return false;
    }
  }
  return true;
}

// Whether a multiply of `x` and the value `factor` ends a threshold.
static bool find_chain(const struct xnn_subgraph* subgraph,
                       struct xnn_node* multiply, uint32_t x, uint32_t factor,
                       struct chain* chain) {
  const struct xnn_value* values = subgraph->values;
  struct xnn_node* minimum = only_producer(subgraph, factor);
  if (values[multiply->outputs[0]].datatype != xnn_datatype_fp32 ||
      !is_binary(minimum, xnn_binary_minimum)) {
    return false;
  }
  const struct xnn_value* bounded = &values[minimum->outputs[0]];
  const int one = is_one(&values[minimum->inputs[1]], bounded) ? 1 : 0;
  if (!is_one(&values[minimum->inputs[one]], bounded)) {
    return false;
  }
  struct xnn_node* ceiling = only_producer(subgraph, minimum->inputs[1 - one]);
  if (!is_unary(ceiling, xnn_unary_ceiling)) {
    return false;
  }
  struct xnn_node* relu = only_producer(subgraph, ceiling->inputs[0]);
  // Wherever it ends, as a ReLU6 does, what is above 0 becomes 1.
  if (!is_unary(relu, xnn_unary_clamp) ||
      relu->params.unary.clamp.min != 0.0f ||
      !(relu->params.unary.clamp.max > 0.0f)) {
    return false;
  }
  struct xnn_node* subtract = only_producer(subgraph, relu->inputs[0]);
  if (!is_binary(subtract, xnn_binary_subtract) || subtract->inputs[0] != x ||
      !is_static_float(&values[subtract->inputs[1]]) ||
      !is_finite(&values[subtract->inputs[1]])) {
    return false;
  }
  *chain = (struct chain){{multiply, minimum, ceiling, relu, subtract}};
  return true;
}

// The multiply becomes the threshold; what led to its factor goes.
static void fuse(struct xnn_subgraph* subgraph, struct chain* chain) {
  struct xnn_node* threshold = chain->nodes[kMultiply];
  const struct xnn_node* subtract = chain->nodes[kSubtract];
  threshold->inputs[0] = subtract->inputs[0];
  threshold->inputs[1] = subtract->inputs[1];
  threshold->binary_operator = xnn_binary_subtract;
  threshold->create = create_threshold;
  for (size_t i = kMinimum; i < kNumNodes; i++) {
    xnn_value_clear(&subgraph->values[chain->nodes[i]->outputs[0]]);
    xnn_node_clear(chain->nodes[i]);
  }
}

void threshold_fuse(struct xnn_subgraph* subgraph) {
  bool has_changed = false;
  for (uint32_t n = 0; n < subgraph->num_nodes; n++) {
    struct xnn_node* node = &subgraph->nodes[n];
    struct chain chain;
    if (is_binary(node, xnn_binary_multiply) &&
        (find_chain(subgraph, node, node->inputs[0], node->inputs[1], &chain) ||
         find_chain(subgraph, node, node->inputs[1], node->inputs[0],
                    &chain))) {
      fuse(subgraph, &chain);
      has_changed = true;
    }
  }
  if (has_changed) {
    xnn_subgraph_analyze_consumers_and_producers(subgraph);
  }
}
