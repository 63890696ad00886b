#include "native/engine/zero-product.h"

#include <cpuinfo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/costs.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-state.h"
#include "native/engine/zero-readers.h"
#include "native/engine/zero-state.h"
#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-spread.h"
#include "xnnpack/common.h"
#include "xnnpack/gemm.h"
#include "xnnpack/igemm.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/microkernel-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

// Upstream's rule for how finely work is split between threads.
static const size_t kTasksPerThread = 5;

// Rows of a block: enough for each piece of weights that enters the first-level
// cache; few enough for their sums to stay in the second-level one.
static const size_t kRowsPerBlock = 128;
static const size_t kFewestRowsPerBlock = 32;
static const size_t kOutputsPerTask = 512;

// Of spread products on several threads: input rows that two blocks read are
// visited twice.
static const size_t kFewestRowsPerSpreadBlock = 128;

// Their weights for NR outputs pass once per input row: in so many times the
// first-level cache at most.
static const size_t kCachesOfSpreadWeights = 2;

// A first-level cache that cpuinfo does not know.
static const size_t kUnknownCache = 32 * 1024;

const char* zero_product_obstacle(const struct xnn_operator* op) {
  if (op->type != xnn_operator_type_convolution_nhwc_f32 &&
      op->type != xnn_operator_type_fully_connected_nc_f32) {
    return "its values are not float32";
  }
  size_t nr, kr, sr;
  switch (op->ukernel.type) {
    case xnn_microkernel_type_gemm:
      nr = op->ukernel.gemm.nr;
      kr = op->ukernel.gemm.kr;
      sr = op->ukernel.gemm.sr;
      break;
    case xnn_microkernel_type_igemm:
      nr = op->ukernel.igemm.nr;
      kr = op->ukernel.igemm.kr;
      sr = op->ukernel.igemm.sr;
      break;
    default:
      return "each output channel reads one input channel";
  }
  if (kr != 1 || sr != 1 || nonzero_kernels_for(nr) == NULL) {
    return "this machine has no kernel for its weights";
  }
  return op->group_input_channels > NONZERO_MAX_CHANNELS
             ? "it has too many input channels"
             : NULL;
}

// Sums that the dense kernel keeps of each output, 0 if it is not known: of
// upstream's kernels, those for one row of 64-bit Arm have several.
static size_t num_sums_of(const struct xnn_operator* op) {
#if XNN_ARCH_ARM64
  static const struct {
    xnn_f32_gemm_minmax_ukernel_fn gemm;
    xnn_f32_igemm_minmax_ukernel_fn igemm;
    size_t num_sums;
  } kernels[] = {
      {xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a75,
       xnn_f32_igemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a75, 2},
      {xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a75_prfm,
       xnn_f32_igemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a75_prfm,
       2},
      {xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a53,
       xnn_f32_igemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a53, 2},
      {xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a53_prfm,
       xnn_f32_igemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a53_prfm,
       2},
      {xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_ld128_acc2,
       xnn_f32_igemm_minmax_ukernel_1x8__asm_aarch64_neonfma_ld64, 2},
      {xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_ld128_acc4, NULL,
       4},
  };
  const bool is_gemm = zero_is_gemm(op);
  const xnn_gemm_ukernel_fn gemm =
      op->context.gemm.gemm.gemm.ukernel.function[XNN_UARCH_DEFAULT];
  const xnn_igemm_ukernel_fn igemm =
      op->context.igemm.igemm.ukernel.function[XNN_UARCH_DEFAULT];
  const bool is_for_one_row =
      is_gemm
          ? gemm == op->ukernel.gemm.gemm_cases[0].function[XNN_UARCH_DEFAULT]
          : igemm ==
                op->ukernel.igemm.igemm_cases[0].function[XNN_UARCH_DEFAULT];
  if (!is_for_one_row) {
    return 1;
  }
  for (size_t i = 0; i < XNN_COUNT_OF(kernels); i++) {
    if (is_gemm ? gemm == (xnn_gemm_ukernel_fn)kernels[i].gemm
                : igemm == (xnn_igemm_ukernel_fn)kernels[i].igemm) {
      // Four sums become two before what is left of four channels.
      return kernels[i].num_sums < 4 || op->group_input_channels % 4 == 0
                 ? kernels[i].num_sums
                 : 0;
    }
  }
  return 0;
#else
  (void)op;
  return 1;
#endif
}

const char* zero_product_obstacle_of_shape(const struct xnn_operator* op) {
  return num_sums_of(op) == 0
             ? "this machine's kernel for one row adds in another order"
             : NULL;
}

static size_t num_taps(const struct xnn_operator* op) {
  return zero_is_gemm(op) ? 1 : op->context.igemm.igemm.ks;
}

const float* zero_product_weights(const struct xnn_operator* op, size_t group) {
  const size_t stride = zero_is_gemm(op) ? op->context.gemm.gemm.gemm.gw_stride
                                         : op->context.igemm.igemm.gw_stride;
  const void* weights = zero_is_gemm(op) ? op->context.gemm.gemm.gemm.packed_w
                                         : op->context.igemm.igemm.packed_w;
  return zero_at(weights, group * stride);
}

bool zero_product_has_finite_weights(const struct zero_skipping* skipping) {
  const struct xnn_operator* op = skipping->op;
  const struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t nr = gemm->kernels->nr;
  for (size_t group = 0; group < skipping->num_groups; group++) {
    const float* row = zero_product_weights(op, group);
    for (size_t n = 0; n < gemm->num_outputs; n += nr) {
      const size_t outputs = min(nr, gemm->num_outputs - n);
      for (size_t k = 0; k <= gemm->num_taps * gemm->num_channels; k++) {
        // All that is finite times zero is zero.
        float sum = 0.0f;
        for (size_t i = 0; i < outputs; i++) {
          sum += row[i] * 0.0f;
        }
        if (sum != 0.0f) {
          return false;
        }
        row += nr;
      }
    }
  }
  return true;
}

static size_t cache_bytes(void) {
  const struct cpuinfo_cache* cache =
      cpuinfo_initialize() && cpuinfo_get_l1d_caches_count() != 0
          ? cpuinfo_get_l1d_cache(0)
          : NULL;
  return cache == NULL || cache->size == 0 ? kUnknownCache : cache->size;
}

size_t zero_product_tile_rows(const struct xnn_operator* op) {
  const struct igemm_context* igemm = &op->context.igemm.igemm;
  return zero_is_gemm(op) ? op->ukernel.gemm.mr
                          : igemm->ks_scaled / (igemm->ks * sizeof(void*));
}

static size_t equal_parts(size_t total, size_t most, size_t multiple_of) {
  const size_t parts = divide_round_up(total, most);
  return round_up(divide_round_up(total, parts), multiple_of);
}

// Taps that the dense kernel visits.
static double taps_of_all(const struct xnn_operator* op) {
  const size_t taps = num_taps(op);
  if (op->row_state == NULL || op->row_state->kernel == NULL) {
    return (double)taps;
  }
  const size_t num_tiles = divide_round_up(
      row_plan_computed_rows(op->row_state->plan), zero_product_tile_rows(op));
  size_t live = 0;
  for (size_t tile = 0; tile < num_tiles; tile++) {
    live += (size_t)__builtin_popcountll(op->row_state->table->live_taps[tile]);
  }
  return (double)live / (double)num_tiles;
}

void zero_product_describe(struct zero_skipping* skipping,
                           const struct xnn_value* input) {
  const struct xnn_operator* op = skipping->op;
  const struct row_plan* plan = zero_plan_of(op);
  // Fully connected operators have none.
  skipping->num_groups = max(op->groups, 1);
  skipping->row_bytes = op->input_pixel_stride * sizeof(float);
  skipping->num_stored_rows =
      xnn_shape_multiply_all_dims(&input->shape) / op->input_pixel_stride;
  if (zero_is_gemm(op)) {
    skipping->num_batches = 1;
    skipping->num_rows = skipping->num_stored_rows;
  } else {
    skipping->num_batches = input->shape.dim[0];
    skipping->num_rows = plan != NULL ? row_plan_computed_rows(plan)
                                      : op->output_height * op->output_width;
  }
  struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t nr =
      zero_is_gemm(op) ? op->ukernel.gemm.nr : op->ukernel.igemm.nr;
  const union xnn_f32_minmax_params* params =
      zero_is_gemm(op) ? &op->context.gemm.gemm.gemm.params.f32
                       : &op->context.igemm.igemm.params.f32;
  *gemm = (struct nonzero_gemm){
      .kernels = nonzero_kernels_for(nr),
      .list = nonzero_list_for_this_machine(),
      .num_taps = num_taps(op),
      .num_channels = op->group_input_channels,
      .num_outputs = op->group_output_channels,
      .min = params->scalar.min,
      .max = params->scalar.max,
      .num_sums = num_sums_of(op),
  };
  nonzero_gemm_lay_out(gemm, skipping->num_rows, cache_bytes());
}

// Of products whose lists are multiplied.
static void cut_lists(struct zero_skipping* skipping, size_t num_threads) {
  const struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t mr = zero_product_tile_rows(skipping->op);
  const size_t pass = gemm->kernels->nr * gemm->kernels->max_blocks;
  const size_t num_products = skipping->num_batches * skipping->num_groups;
  size_t rows = kRowsPerBlock;
  size_t outputs = max(kOutputsPerTask / pass, 1) * pass;
  if (num_threads > 1) {
    const size_t num_tasks = num_threads * kTasksPerThread;
    const size_t fewest_blocks = divide_round_up(
        num_tasks, num_products * divide_round_up(gemm->num_outputs, outputs));
    rows = min(rows, max(kFewestRowsPerBlock,
                         divide_round_up(skipping->num_rows, fewest_blocks)));
    const size_t num_blocks =
        num_products * divide_round_up(skipping->num_rows, rows);
    const size_t fewest_parts = divide_round_up(num_tasks, num_blocks);
    outputs = min(outputs,
                  max(divide_round_up(gemm->num_outputs, fewest_parts), pass));
  }
  skipping->rows_per_block =
      gemm->num_sums > 1 ? 1 : equal_parts(skipping->num_rows, rows, mr);
  skipping->outputs_per_task =
      equal_parts(gemm->num_outputs, outputs, gemm->kernels->nr);
  // Of one tap, lists of a block's rows are in its scratch memory.
  skipping->lists_stride =
      gemm->num_taps == 1 ? 0 : skipping->num_groups * gemm->lists_bytes;
  skipping->scratch_bytes = nonzero_block_scratch_bytes(
      gemm, skipping->rows_per_block, skipping->outputs_per_task);
}

// Of products whose nonzeros are spread.
static void cut_spread(struct zero_skipping* skipping, size_t num_threads) {
  const size_t nr = skipping->gemm.kernels->nr;
  const size_t num_products = skipping->num_batches * skipping->num_groups *
                              divide_round_up(skipping->gemm.num_outputs, nr);
  size_t rows = NONZERO_SPREAD_MAX_ROWS;
  skipping->outputs_per_task = skipping->gemm.num_outputs;
  if (num_threads > 1) {
    const size_t fewest_blocks =
        divide_round_up(num_threads * kTasksPerThread, num_products);
    rows = min(rows, max(kFewestRowsPerSpreadBlock,
                         divide_round_up(skipping->num_rows, fewest_blocks)));
    skipping->outputs_per_task = nr;
  }
  skipping->rows_per_block = equal_parts(skipping->num_rows, rows, 1);
  skipping->lists_stride = 0;
  skipping->scratch_bytes =
      nonzero_spread_scratch_bytes(&skipping->gemm, skipping->rows_per_block);
}

// Whether spreading is possible: one tap has nothing to spread to, and the
// weights of a block of outputs have to come from close by.
static bool can_spread(const struct nonzero_gemm* gemm) {
  return gemm->num_sums == 1 && gemm->num_taps > 1 &&
         gemm->num_taps <= NONZERO_SPREAD_MAX_TAPS &&
         gemm->num_taps * gemm->num_channels <=
             kCachesOfSpreadWeights * cache_bytes() /
                 (gemm->kernels->nr * sizeof(float));
}

bool zero_product_cut(struct zero_skipping* skipping, size_t num_threads) {
  const struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t nr = gemm->kernels->nr;
  struct zero_work work = {
      .is_indirect = !zero_is_gemm(skipping->op),
      .is_narrow = gemm->kernels->is_narrow,
      .num_taps = taps_of_all(skipping->op),
      .num_channels = gemm->num_channels,
      .list_channels = gemm->list_channels,
      .num_outputs = round_up(gemm->num_outputs, nr),
      .num_blocks = divide_round_up(gemm->num_outputs, nr),
  };
  skipping->most_nonzeros = most_listed_nonzeros_that_pay(&work);
  zero_readers_release(skipping);
  if (can_spread(gemm)) {
    cut_spread(skipping, num_threads);
    if (!zero_readers_find(skipping)) {
      return false;
    }
    for (size_t b = 0; b < skipping->readers->num_blocks; b++) {
      const struct nonzero_readers* block = &skipping->readers->blocks[b];
      const double rows = (double)skipping->num_rows;
      work.num_sources += (double)block->num_sources / rows;
      work.num_readers += (double)block->num_live_taps / rows;
    }
    const double most_nonzeros = most_spread_nonzeros_that_pay(&work);
    if (most_nonzeros >= skipping->most_nonzeros) {
      skipping->most_nonzeros = most_nonzeros;
    } else {
      zero_readers_release(skipping);
    }
  }
  if (skipping->most_nonzeros <= 0 && skipping->mode == xnn_zeros_mode_auto) {
    // It never pays: not even for nothing but zeros, and it takes no memory.
    skipping->most_nonzeros = -1;
    zero_readers_release(skipping);
    skipping->rows_per_block = skipping->num_rows;
    skipping->outputs_per_task = gemm->num_outputs;
    skipping->lists_stride = 0;
    skipping->scratch_bytes = 0;
    return true;
  }
  if (skipping->readers == NULL) {
    cut_lists(skipping, num_threads);
  }
  return true;
}
