#include "native/engine/costs.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "native/engine/kernels/instruction-set.h"
#include "native/engine/node-role.h"
#include "native/engine/plane.h"
#include "native/engine/row-set.h"
#include "xnnpack/config.h"
#include "xnnpack/datatype.h"
#include "xnnpack/math.h"
#include "xnnpack/subgraph.h"

// Only the ratios of a GEMM's, and of a depthwise kernel's, matter.
struct costs {
  // A multiply-accumulate of a GEMM in floating point and in 8 bits, and of a
  // depthwise convolution, which waits for memory.
  double gemm_mac;
  double gemm_mac_int8;
  double depthwise_mac;
  // A GEMM's output byte that is copied to its pixel instead of being written
  // there by the kernel. A call of a depthwise kernel, which writes in place,
  // for a run of neighbouring kept pixels.
  double scattered_byte;
  double depthwise_run;
  double most_live_taps;
  // Of products that skip zeros: one channel of one row for 16 outputs, in
  // upstream's GEMM, indirect GEMM, and that for few outputs; a nonzero
  // activation, on its own and for 16 outputs; a list that is visited, in the
  // same way; a value that is looked at. Of those that spread them: a nonzero
  // activation, on its own and for 16 outputs; an input row, and 16 sums of an
  // output that reads it.
  double dense_gemm;
  double dense_igemm;
  double dense_narrow_igemm;
  double nonzero;
  double nonzero_outputs;
  double list;
  double list_outputs;
  double value;
  double spread;
  double spread_outputs;
  double source;
  double reader_outputs;
};

// x86-64: picoseconds on one core, by benchmarks/insertion_costs, the GEMM's on
// AVX-512 by benchmarks/engine at sparsities of 30 and 50%; in 8 bits
// without VNNI half of floating point, not measured. NEON: instructions on a
// Cortex-A72 by benchmarks/aarch64_instructions, twice those of copies and
// calls, which wait for memory; no board was measured.
// Of zeros, from dense_gemm on, in picoseconds: on x86-64 what
//   bazel run //native/benchmarks:zero_layers -- --costs
// prints, the mean of three runs; NEON from a model of the ports of a
// Cortex-A72.
static const struct costs kCosts[instruction_set_count] = {
    [instruction_set_baseline] = {60, 30, 66, 37, 54000, 0.95, 1, 1, 1, 1, 1, 1,
                                  1, 1, 1, 1, 1, 1},
    [instruction_set_neon] = {0.35, 0.17, 0.84, 0.9, 400, 0.95, 2500, 2500,
                              2500, 800, 2800, 12000, 6000, 600, 2000, 2800,
                              27000, 5300},
    [instruction_set_fma3] = {19.4, 9.7, 43, 27, 53000, 0.95, 297, 294, 294, 0,
                              386, 3490, 2800, 253, 351, 358, 8060, 810},
    [instruction_set_avx512f] = {9.3, 3.3, 32, 63, 57000, 0.95, 189, 241, 353,
                                 147, 264, 4340, 1810, 315, 191, 250, 7920,
                                 860},
};

static const struct costs* costs_here(void) {
  return &kCosts[instruction_set_best()];
}

// Runs of kept pixels in raster order.
static double count_runs(const struct row_set* rows) {
  const size_t pixels = (size_t)rows->height * rows->width;
  size_t runs = 0;
  for (size_t p = 0; p < pixels; p++) {
    runs += row_set_has(rows, p) && (p == 0 || !row_set_has(rows, p - 1));
  }
  return (double)runs;
}

// Rows of a tile of upstream's GEMM kernel; 1 where it is not known.
static uint32_t rows_of_tile(enum xnn_datatype datatype) {
  const struct xnn_gemm_config* config =
      datatype == xnn_datatype_fp32    ? xnn_init_f32_gemm_config()
      : datatype == xnn_datatype_qint8 ? xnn_init_qs8_qc8w_gemm_config()
                                       : NULL;
  return config != NULL ? config->mr : 1;
}

bool insertion_pays(const struct xnn_value* values, const struct xnn_node* node,
                    const struct row_set* rows) {
  const struct costs* costs = costs_here();
  const struct xnn_value* output = &values[node->outputs[0]];
  const double kept = rows->count;
  const double masked = (double)rows->height * rows->width - kept;
  const double macs = (double)node_macs_per_pixel(node);
  switch (node->type) {
    case xnn_node_type_convolution_2d: {
      const double mac = macs * (xnn_datatype_is_quantized(output->datatype)
                                     ? costs->gemm_mac_int8
                                     : costs->gemm_mac);
      // Rows of a tile cost the same, however many there are.
      const double mr = (double)rows_of_tile(output->datatype);
      const double tiles = ceil((kept + masked) / mr) - ceil(kept / mr);
      return tiles * mr * mac >
             kept * (double)value_row_bytes(output) * costs->scattered_byte;
    }
    case xnn_node_type_depthwise_convolution_2d:
      return masked * macs * costs->depthwise_mac >
             count_runs(rows) * costs->depthwise_run;
    default:
      return true;
  }
}

static double dense_cost(const struct costs* costs,
                         const struct zero_work* work) {
  return work->num_taps * (double)work->num_channels *
         ((double)work->num_outputs / 16) *
         (!work->is_indirect ? costs->dense_gemm
          : work->is_narrow  ? costs->dense_narrow_igemm
                             : costs->dense_igemm);
}

double most_listed_nonzeros_that_pay(const struct zero_work* work) {
  const struct costs* costs = costs_here();
  const double outputs = (double)work->num_outputs / 16;
  const double channels = (double)work->num_channels;
  const double lists =
      (double)divide_round_up(work->num_channels, work->list_channels);
  const double fixed =
      channels * costs->value +
      work->num_taps * lists * (costs->list + outputs * costs->list_outputs);
  const double all_nonzeros =
      work->num_taps * channels *
      (costs->nonzero + outputs * costs->nonzero_outputs);
  return (dense_cost(costs, work) - fixed) / all_nonzeros;
}

double most_spread_nonzeros_that_pay(const struct zero_work* work) {
  const struct costs* costs = costs_here();
  const double outputs = (double)work->num_outputs / 16;
  const double channels = (double)work->num_channels;
  // Every block of weights has a visit of its own.
  const double sources = work->num_sources * (double)work->num_blocks;
  const double fixed = sources * costs->source +
                       work->num_readers * outputs * costs->reader_outputs;
  const double all_nonzeros =
      channels * (sources * costs->spread +
                  work->num_readers * outputs * costs->spread_outputs);
  return (dense_cost(costs, work) - fixed) / all_nonzeros;
}

bool skipping_taps_pays(double share_of_live_taps) {
  return share_of_live_taps <= costs_here()->most_live_taps;
}
