#include "native/engine/costs.h"

#include <stdbool.h>

#include "native/engine/kernels/instruction-set.h"
#include "native/engine/node-role.h"
#include "native/engine/plane.h"
#include "native/engine/row-set.h"
#include "xnnpack/datatype.h"
#include "xnnpack/subgraph.h"

// In picoseconds; only ratios matter.
struct costs {
  // A multiply-accumulate of a GEMM in floating point and in 8 bits, and of a
  // depthwise convolution, which waits for memory.
  double gemm_mac;
  double gemm_mac_int8;
  double depthwise_mac;
  // A GEMM's output byte that is copied to its pixel instead of being written
  // there by the kernel. A call of a depthwise kernel, which writes in place,
  // for a run of few pixels instead of a line.
  double scattered_byte;
  double depthwise_run;
  double most_live_taps;
};

// AVX-512: measured on one core by benchmarks/engine.
#define AVX512F {9.3, 3.3, 33.0, 63.0, 20000.0, 0.95}

static const struct costs kCosts[instruction_set_count] = {
    [instruction_set_baseline] = AVX512F,
    [instruction_set_neon] = AVX512F,
    [instruction_set_fma3] = AVX512F,
    [instruction_set_avx512f] = AVX512F,
};

static const struct costs* costs_here(void) {
  return &kCosts[instruction_set_best()];
}

bool insertion_pays(const struct xnn_value* values, const struct xnn_node* node,
                    const struct row_set* rows) {
  const struct costs* costs = costs_here();
  const struct xnn_value* output = &values[node->outputs[0]];
  const double kept = rows->count;
  const double masked = (double)rows->height * rows->width - kept;
  const double macs = (double)node_macs_per_pixel(node);
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      return masked * macs *
                 (xnn_datatype_is_quantized(output->datatype)
                      ? costs->gemm_mac_int8
                      : costs->gemm_mac) >
             kept * (double)value_row_bytes(output) * costs->scattered_byte;
    case xnn_node_type_depthwise_convolution_2d:
      return masked * macs * costs->depthwise_mac > kept * costs->depthwise_run;
    default:
      return true;
  }
}

bool skipping_taps_pays(double share_of_live_taps) {
  return share_of_live_taps <= costs_here()->most_live_taps;
}
