#include "native/engine/insertion-rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/row-set.h"
#include "native/engine/window.h"
#include "xnnpack/datatype.h"
#include "xnnpack/subgraph.h"

// Measured on one x86-64 core with AVX-512 by benchmarks/engine, in
// picoseconds; only their ratios matter. A multiply-accumulate of a GEMM in
// floating point and in 8 bits, and of a depthwise convolution, which waits for
// memory.
static const double kGemmMac = 9.3;
static const double kGemmMacInt8 = 3.3;
static const double kDepthwiseMac = 33.0;
// A GEMM's output byte that is copied to its pixel instead of being written
// there by the kernel. A call of a depthwise kernel, which writes in place, for
// a run of few pixels instead of a line.
static const double kScatteredByte = 63.0;
static const double kDepthwiseRun = 20000.0;

static bool gemm_pays(const struct xnn_value* output, double macs,
                      double masked, double kept) {
  const bool is_int8 = xnn_datatype_is_quantized(output->datatype);
  const double row_bytes = (double)(output->shape.dim[3] *
                                    xnn_datatype_size_bytes(output->datatype));
  return masked * macs * (is_int8 ? kGemmMacInt8 : kGemmMac) >
         kept * row_bytes * kScatteredByte;
}

bool insertion_pays(const struct xnn_value* values, const struct xnn_node* node,
                    const struct row_set* rows) {
  const double kept = rows->count;
  const double masked = (double)rows->height * rows->width - kept;
  const double macs = (double)window_node_macs_per_pixel(node);
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      return gemm_pays(&values[node->outputs[0]], macs, masked, kept);
    case xnn_node_type_depthwise_convolution_2d:
      return masked * macs * kDepthwiseMac > kept * kDepthwiseRun;
    default:
      return true;
  }
}
