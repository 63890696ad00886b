#include "native/engine/zero-skipping.h"

#include <cpuinfo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/dense/gemm-loops.h"
#include "native/engine/costs.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-state.h"
#include "native/engine/sparsity.h"
#include "native/engine/window-tasks.h"
#include "native/engine/zeros/nonzero-block.h"
#include "pthreadpool.h"
#include "xnnpack/allocator.h"
#include "xnnpack/compute.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/microkernel-type.h"
#include "xnnpack/node-type.h"
#include "xnnpack/operator-utils.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

// Upstream's rule for how finely work is split between threads.
static const size_t kTasksPerThread = 5;

// Rows of a block: enough for each piece of weights that enters the first-level
// cache; few enough for their sums to stay in the second-level one.
static const size_t kRowsPerBlock = 128;
static const size_t kFewestRowsPerBlock = 32;
static const size_t kOutputsPerTask = 512;

// Blocks of channels that a look samples, and inferences from one look to the
// next while a layer has too few zeros.
static const size_t kLooks = 32;
static const size_t kInferencesBetweenLooks = 16;

// A first-level cache that cpuinfo does not know.
static const size_t kUnknownCache = 32 * 1024;

struct zero_skipping {
  enum xnn_zeros_mode mode;
  struct xnn_operator* op;
  // The operator's own functions.
  xnn_reshape_operator_fn reshape;
  xnn_setup_operator_fn setup;
  // Why zeros cannot be skipped; NULL if they can.
  const char* obstacle;
  bool are_weights_checked;

  // Set by reshape.
  struct nonzero_gemm gemm;
  size_t num_groups;
  size_t num_batches;
  size_t num_rows;
  size_t num_stored_rows;
  size_t row_bytes;
  size_t rows_per_block;
  size_t outputs_per_task;
  size_t lists_stride;
  size_t scratch_bytes;
  size_t workspace_offset;
  size_t workspace_bytes;
  double most_nonzeros;
  // Invocations of the operator: ours, and the one that they stand in for.
  struct compute_parameters* find;
  struct compute_parameters* multiply;
  struct compute_parameters* dense;
  enum xnn_parallelization_type dense_type;

  // Set by setup: lists of all rows, then each thread's scratch memory.
  uint8_t* workspace;

  // What was seen.
  bool skips;
  size_t inferences_to_next_look;
  double last_zeros;
  double sum_of_zeros;
  size_t num_looks;
};

static void* at(const void* base, size_t offset) {
  return (void*)((uintptr_t)base + offset);
}

static struct xnn_operator* operator_of(void* context) {
  return (struct xnn_operator*)operator_of_context(context);
}

static bool is_gemm(const struct xnn_operator* op) {
  return op->ukernel.type == xnn_microkernel_type_gemm;
}

static const struct row_plan* plan_of(const struct xnn_operator* op) {
  return op->row_state != NULL && !row_plan_is_dense(op->row_state->plan)
             ? op->row_state->plan
             : NULL;
}

// --- what can skip zeros ---------------------------------------------------

static const char* obstacle_of(const struct xnn_operator* op) {
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

static size_t num_taps(const struct xnn_operator* op) {
  return is_gemm(op) ? 1 : op->context.igemm.igemm.ks;
}

static const float* weights_of_group(const struct xnn_operator* op,
                                     size_t group) {
  const size_t stride = is_gemm(op) ? op->context.gemm.gemm.gemm.gw_stride
                                    : op->context.igemm.igemm.gw_stride;
  const void* weights = is_gemm(op) ? op->context.gemm.gemm.gemm.packed_w
                                    : op->context.igemm.igemm.packed_w;
  return at(weights, group * stride);
}

// Zero times infinity is NaN: a dense kernel would find it.
static bool are_weights_finite(const struct xnn_operator* op,
                               const struct nonzero_gemm* gemm) {
  const size_t nr = gemm->kernels->nr;
  for (size_t group = 0; group < op->zero_skipping->num_groups; group++) {
    const float* row = weights_of_group(op, group);
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

// --- tasks -----------------------------------------------------------------

static size_t cache_bytes(void) {
  const struct cpuinfo_cache* cache =
      cpuinfo_initialize() && cpuinfo_get_l1d_caches_count() != 0
          ? cpuinfo_get_l1d_cache(0)
          : NULL;
  return cache == NULL || cache->size == 0 ? kUnknownCache : cache->size;
}

// Where the stored rows begin.
static const void* stored_rows(const struct xnn_operator* op) {
  return is_gemm(op) ? op->context.gemm.gemm.gemm.a : op->input;
}

// Share of zeros in some blocks of channels, spread over all rows.
static double sample_zeros(const struct xnn_operator* op) {
  const struct zero_skipping* skipping = op->zero_skipping;
  const size_t channels = skipping->row_bytes / sizeof(float);
  const size_t block = min(channels, NONZERO_LIST_MAX_CHANNELS);
  const size_t blocks_per_row = divide_round_up(channels, block);
  const size_t num_blocks = skipping->num_stored_rows * blocks_per_row;
  const size_t num_looks = min(num_blocks, kLooks);
  size_t values = 0;
  size_t nonzeros = 0;
  for (size_t i = 0; i < num_looks; i++) {
    // The middle of each of as many equal parts.
    const size_t b = (2 * i + 1) * num_blocks / (2 * num_looks);
    const size_t channel = b % blocks_per_row * block;
    const size_t count = min(block, channels - channel);
    uint8_t places[NONZERO_LIST_MAX_CHANNELS];
    nonzeros += skipping->gemm.list(
        at(stored_rows(op),
           b / blocks_per_row * skipping->row_bytes + channel * sizeof(float)),
        count, places);
    values += count;
  }
  return 1.0 - (double)nonzeros / (double)values;
}

// Serial: decides what the invocations that follow do.
static void task_look(void* context, size_t index) {
  (void)index;  // there is one
  struct xnn_operator* op = operator_of(context);
  struct zero_skipping* skipping = op->zero_skipping;
  if (skipping->inferences_to_next_look != 0) {
    skipping->inferences_to_next_look--;
  } else {
    skipping->last_zeros = sample_zeros(op);
    skipping->sum_of_zeros += skipping->last_zeros;
    skipping->num_looks++;
    skipping->skips = skipping->mode == xnn_zeros_mode_always ||
                      1.0 - skipping->last_zeros <= skipping->most_nonzeros;
    skipping->inferences_to_next_look =
        skipping->skips ? 0 : kInferencesBetweenLooks - 1;
  }
  const bool skips = skipping->skips;
  skipping->find->type = skips && skipping->gemm.num_taps > 1
                             ? xnn_parallelization_type_1d_tile_1d
                             : xnn_parallelization_type_invalid;
  skipping->multiply->type =
      skips ? xnn_parallelization_type_3d_tile_1d_with_thread
            : xnn_parallelization_type_invalid;
  skipping->dense->type =
      skips ? xnn_parallelization_type_invalid : skipping->dense_type;
}

static void task_find(void* context, size_t row_start, size_t num_rows) {
  const struct xnn_operator* op = operator_of(context);
  const struct zero_skipping* skipping = op->zero_skipping;
  for (size_t row = row_start; row < row_start + num_rows; row++) {
    const float* channels = at(stored_rows(op), row * skipping->row_bytes);
    uint8_t* lists = skipping->workspace + row * skipping->lists_stride;
    for (size_t group = 0; group < skipping->num_groups; group++) {
      nonzero_lists_make(&skipping->gemm,
                         channels + group * skipping->gemm.num_channels,
                         lists + group * skipping->gemm.lists_bytes);
    }
  }
}

// Rows of a tile of upstream's kernel.
static size_t tile_rows(const struct xnn_operator* op) {
  const struct igemm_context* igemm = &op->context.igemm.igemm;
  return is_gemm(op) ? op->ukernel.gemm.mr
                     : igemm->ks_scaled / (igemm->ks * sizeof(void*));
}

static void task_multiply(void* context, size_t thread, size_t product,
                          size_t part, size_t row_start, size_t num_rows) {
  const struct xnn_operator* op = operator_of(context);
  const struct zero_skipping* skipping = op->zero_skipping;
  const size_t batch = product / skipping->num_groups;
  const size_t group = product % skipping->num_groups;
  const size_t output_start = part * skipping->outputs_per_task;
  struct nonzero_gemm gemm = skipping->gemm;
  gemm.weights = weights_of_group(op, group);
  const size_t num_outputs =
      min(skipping->outputs_per_task, gemm.num_outputs - output_start);
  const struct row_plan* plan = plan_of(op);

  struct nonzero_input input = {
      .row_bytes = skipping->row_bytes,
      .lists = skipping->workspace + group * gemm.lists_bytes,
      .lists_stride = skipping->lists_stride,
  };
  struct nonzero_output output = {
      .row_bytes = op->output_pixel_stride * sizeof(float),
  };
  if (is_gemm(op)) {
    const struct gemm_context* gemm_context = &op->context.gemm.gemm.gemm;
    input.rows = at(gemm_context->a, group * gemm_context->ga_stride);
    output.rows = at(gemm_context->c, group * gemm_context->gc_stride);
  } else {
    const struct igemm_context* igemm = &op->context.igemm.igemm;
    input.rows = at(op->input, group * igemm->ga_stride);
    input.pointers = (const void* const*)igemm->indirect_a;
    input.tile_rows = tile_rows(op);
    input.zero = igemm->zero;
    input.offset =
        igemm->a_offset + group * igemm->ga_stride + batch * igemm->ba_stride;
    output.rows =
        at(igemm->c, batch * igemm->bc_stride + group * igemm->gc_stride);
    output.places = plan != NULL && plan->scatter ? plan->output->pixel : NULL;
  }
  void* scratch = skipping->workspace +
                  skipping->num_stored_rows * skipping->lists_stride +
                  thread * skipping->scratch_bytes;
  scratch = (void*)round_up_po2((uintptr_t)scratch, XNN_ALLOCATION_ALIGNMENT);

  const struct nonzero_block_work work =
      nonzero_block_look(&gemm, &input, row_start, num_rows, scratch);
  const double values = (double)work.num_visits / (double)gemm.num_lists *
                        (double)gemm.num_channels;
  if (skipping->mode != xnn_zeros_mode_always && op->gemm_loops.run != NULL &&
      (double)work.num_nonzeros > skipping->most_nonzeros * values) {
    const struct gemm_block block = {
        .group = group,
        .channel = output_start,
        .num_channels = num_outputs,
        .batch = batch,
        .row = row_start,
        .num_rows = num_rows,
    };
    op->gemm_loops.run(op, &block);
    return;
  }
  nonzero_block_run(&gemm, &input, &output, row_start, num_rows, output_start,
                    num_outputs, scratch);
  if (output.places != NULL) {
    window_insert_zeros(plan, output.rows + output_start, row_start, num_rows,
                        num_outputs * sizeof(float));
  }
}

// --- reshape and setup -----------------------------------------------------

static size_t equal_parts(size_t total, size_t most, size_t multiple_of) {
  const size_t parts = divide_round_up(total, most);
  return round_up(divide_round_up(total, parts), multiple_of);
}

// Cuts the product into tasks: as large as caches allow, but some for each
// thread.
static void cut(struct zero_skipping* skipping, size_t num_threads) {
  const struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t mr = tile_rows(skipping->op);
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
  skipping->rows_per_block = equal_parts(skipping->num_rows, rows, mr);
  skipping->outputs_per_task =
      equal_parts(gemm->num_outputs, outputs, gemm->kernels->nr);
}

// Taps that the dense kernel visits.
static double taps_of_all(const struct xnn_operator* op) {
  const size_t taps = num_taps(op);
  if (op->row_state == NULL || op->row_state->kernel == NULL) {
    return (double)taps;
  }
  const size_t num_tiles = divide_round_up(
      row_plan_computed_rows(op->row_state->plan), tile_rows(op));
  size_t live = 0;
  for (size_t tile = 0; tile < num_tiles; tile++) {
    live += (size_t)__builtin_popcountll(op->row_state->live_taps[tile]);
  }
  return (double)live / (double)num_tiles;
}

static void describe_product(struct zero_skipping* skipping,
                             const struct xnn_value* input) {
  const struct xnn_operator* op = skipping->op;
  const struct row_plan* plan = plan_of(op);
  // Fully connected operators have none.
  skipping->num_groups = max(op->groups, 1);
  skipping->row_bytes = op->input_pixel_stride * sizeof(float);
  skipping->num_stored_rows =
      xnn_shape_multiply_all_dims(&input->shape) / op->input_pixel_stride;
  if (is_gemm(op)) {
    skipping->num_batches = 1;
    skipping->num_rows = skipping->num_stored_rows;
  } else {
    skipping->num_batches = input->shape.dim[0];
    skipping->num_rows = plan != NULL ? row_plan_computed_rows(plan)
                                      : op->output_height * op->output_width;
  }
  struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t nr = is_gemm(op) ? op->ukernel.gemm.nr : op->ukernel.igemm.nr;
  const union xnn_f32_minmax_params* params =
      is_gemm(op) ? &op->context.gemm.gemm.gemm.params.f32
                  : &op->context.igemm.igemm.params.f32;
  *gemm = (struct nonzero_gemm){
      .kernels = nonzero_kernels_for(nr),
      .list = nonzero_list_for_this_machine(),
      .num_taps = num_taps(op),
      .num_channels = op->group_input_channels,
      .num_outputs = op->group_output_channels,
      .min = params->scalar.min,
      .max = params->scalar.max,
  };
  nonzero_gemm_lay_out_lists(gemm, skipping->num_rows, cache_bytes());
  skipping->lists_stride = skipping->num_groups * gemm->lists_bytes;
  skipping->most_nonzeros = most_nonzeros_that_pay(&(struct zero_work){
      .is_indirect = !is_gemm(op),
      .num_taps = taps_of_all(op),
      .num_channels = gemm->num_channels,
      .list_channels = gemm->list_channels,
      .num_outputs = round_up(gemm->num_outputs, nr),
  });
}

// The invocation that multiplies: the first that is cut in two dimensions.
static size_t find_dense(const struct xnn_operator* op) {
  size_t i = 0;
  while (op->compute[i].type == xnn_parallelization_type_1d_tile_1d) {
    i++;
  }
  return i;
}

static void add_invocations(struct zero_skipping* skipping,
                            size_t num_threads) {
  struct xnn_operator* op = skipping->op;
  const struct nonzero_gemm* gemm = &skipping->gemm;
  const size_t dense = find_dense(op);
  struct compute_parameters* look = &op->compute[dense];
  enum { kOurs = 3 };
  memmove(look + kOurs, look,
          (XNN_MAX_COMPUTE_INVOCATIONS - kOurs - dense) * sizeof(*look));
  skipping->find = look + 1;
  skipping->multiply = look + 2;
  skipping->dense = look + kOurs;
  skipping->dense_type = skipping->dense->type;
  *look = (struct compute_parameters){
      .type = xnn_parallelization_type_1d,
      .task_1d = task_look,
      .range = {1},
  };
  *skipping->find = (struct compute_parameters){
      .type = xnn_parallelization_type_invalid,
      .task_1d_tile_1d = task_find,
      .range = {skipping->num_stored_rows},
      .tile = {divide_round_up(skipping->num_stored_rows,
                               num_threads * kTasksPerThread)},
  };
  *skipping->multiply = (struct compute_parameters){
      .type = xnn_parallelization_type_invalid,
      .task_3d_tile_1d_with_thread = task_multiply,
      .range = {skipping->num_batches * skipping->num_groups,
                divide_round_up(gemm->num_outputs, skipping->outputs_per_task),
                skipping->num_rows},
      .tile = {skipping->rows_per_block},
  };
}

static enum xnn_status reshape(struct xnn_operator_data* opdata,
                               struct xnn_value* values, size_t num_values,
                               pthreadpool_t threadpool) {
  struct xnn_operator* op = opdata->operator_objects[0];
  struct zero_skipping* skipping = op->zero_skipping;
  const size_t old_workspace_size = opdata->workspace_size;
  // What follows expects invocations as it left them.
  memset(op->compute, 0, sizeof(op->compute));
  opdata->workspace_size = 0;
  enum xnn_status status =
      skipping->reshape(opdata, values, num_values, threadpool);
  if ((status != xnn_status_success &&
       status != xnn_status_reallocation_required) ||
      op->state == xnn_run_state_skip || skipping->obstacle != NULL ||
      skipping->mode == xnn_zeros_mode_never) {
    return status;
  }
  xnn_reorder_gemm_loops(op, threadpool);
  describe_product(skipping, &values[opdata->inputs[0]]);
  if (!skipping->are_weights_checked) {
    skipping->are_weights_checked = true;
    if (!are_weights_finite(op, &skipping->gemm)) {
      skipping->obstacle = "a weight is infinite or NaN";
      return status;
    }
  }
  const size_t num_threads = pthreadpool_get_threads_count(threadpool);
  cut(skipping, num_threads);
  add_invocations(skipping, num_threads);

  const size_t alignment = XNN_ALLOCATION_ALIGNMENT;
  skipping->scratch_bytes = round_up_po2(
      nonzero_block_scratch_bytes(&skipping->gemm, skipping->rows_per_block,
                                  skipping->outputs_per_task),
      alignment);
  if (skipping->gemm.num_taps == 1) {
    // Lists of a block's rows are in its scratch memory.
    skipping->lists_stride = 0;
  }
  skipping->workspace_bytes =
      skipping->num_stored_rows * skipping->lists_stride + alignment +
      num_threads * skipping->scratch_bytes;
  skipping->workspace_offset = round_up_po2(opdata->workspace_size, alignment);
  opdata->workspace_size =
      skipping->workspace_offset + skipping->workspace_bytes;
  opdata->workspace_alignment = alignment;
  return opdata->workspace_size > old_workspace_size
             ? xnn_status_reallocation_required
             : status;
}

static enum xnn_status setup(const struct xnn_operator_data* opdata,
                             const struct xnn_value* values, size_t num_values,
                             pthreadpool_t threadpool) {
  struct zero_skipping* skipping = opdata->operator_objects[0]->zero_skipping;
  skipping->workspace = at(opdata->workspace, skipping->workspace_offset);
  return skipping->setup(opdata, values, num_values, threadpool);
}

static bool multiplies(enum xnn_node_type type) {
  return type == xnn_node_type_convolution_2d ||
         type == xnn_node_type_depthwise_convolution_2d ||
         type == xnn_node_type_fully_connected;
}

enum xnn_status xnn_skip_zeros(const struct xnn_node* node,
                               enum xnn_zeros_mode mode,
                               struct xnn_operator_data* opdata) {
  if (!multiplies(node->type)) {
    return xnn_status_success;
  }
  struct xnn_operator* op = opdata->operator_objects[0];
  struct zero_skipping* skipping =
      xnn_allocate_zero_memory(sizeof(struct zero_skipping));
  if (skipping == NULL) {
    xnn_log_error("failed to allocate %zu bytes to skip zeros",
                  sizeof(struct zero_skipping));
    return xnn_status_out_of_memory;
  }
  *skipping = (struct zero_skipping){
      .mode = mode,
      .op = op,
      .reshape = opdata->reshape,
      .setup = opdata->setup,
      .obstacle = obstacle_of(op),
  };
  op->zero_skipping = skipping;
  if (skipping->obstacle == NULL && mode != xnn_zeros_mode_never) {
    opdata->reshape = reshape;
    opdata->setup = setup;
  }
  return xnn_status_success;
}

void xnn_zero_skipping_release(struct zero_skipping* skipping) {
  xnn_release_memory(skipping);
}

// --- report ----------------------------------------------------------------

enum xnn_status xnn_subgraph_set_zeros_mode(xnn_subgraph_t subgraph,
                                            enum xnn_zeros_mode mode) {
  if (mode < xnn_zeros_mode_auto || mode > xnn_zeros_mode_never) {
    xnn_log_error("failed to set zeros mode %d: expected 0 to 2", (int)mode);
    return xnn_status_invalid_parameter;
  }
  subgraph->zeros_mode = mode;
  return xnn_status_success;
}

static void describe(const struct xnn_operator_data* opdata,
                     struct xnn_zero_layer* layer) {
  const struct xnn_operator* op = opdata->operator_objects[0];
  const struct zero_skipping* skipping = op->zero_skipping;
  *layer = (struct xnn_zero_layer){
      .value_id = opdata->outputs[0],
      .op = xnn_node_type_to_string(opdata->type),
      .form = op->row_state != NULL && op->row_state->kernel != NULL
                  ? xnn_zero_form_tiles
                  : xnn_zero_form_dense,
      .zeros = skipping->num_looks == 0
                   ? -1.0
                   : skipping->sum_of_zeros / (double)skipping->num_looks,
      .obstacle = skipping->obstacle != NULL ? skipping->obstacle
                  : skipping->mode == xnn_zeros_mode_never
                      ? "skip_zeros is never"
                      : NULL,
      .last_zeros = skipping->last_zeros,
      .pays_from = 1.0 - skipping->most_nonzeros,
  };
  if (layer->obstacle == NULL && skipping->skips) {
    layer->form = xnn_zero_form_zeros;
  }
}

size_t xnn_runtime_get_zero_layers(xnn_runtime_t runtime,
                                   struct xnn_zero_layer* layers,
                                   size_t capacity) {
  size_t count = 0;
  for (size_t i = 0; i < runtime->num_ops; i++) {
    const struct xnn_operator* op = runtime->opdata[i].operator_objects[0];
    if (op == NULL || op->zero_skipping == NULL) {
      continue;
    }
    if (count < capacity) {
      describe(&runtime->opdata[i], &layers[count]);
    }
    count++;
  }
  return count;
}

size_t xnn_runtime_get_list_bytes(xnn_runtime_t runtime) {
  size_t bytes = 0;
  for (size_t i = 0; i < runtime->num_ops; i++) {
    const struct xnn_operator* op = runtime->opdata[i].operator_objects[0];
    if (op != NULL && op->zero_skipping != NULL) {
      bytes = max(bytes, op->zero_skipping->workspace_bytes);
    }
  }
  return bytes;
}
