#include "native/dense/gemm-loops.h"

#include <cpuinfo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pthreadpool.h"
#include "xnnpack/common.h"
#include "xnnpack/compute.h"
#include "xnnpack/math.h"
#include "xnnpack/microkernel-type.h"
#include "xnnpack/operator.h"

// Upstream's rule for how finely work is split between threads.
static const size_t kTasksPerThread = 5;

// Of a machine whose caches are not known.
static const size_t kUnknownCache = 1024 * 1024;

// Weights that stay in a core's share of the second-level cache, next to rows
// and outputs.
static size_t weight_bytes_per_block(void) {
  const struct cpuinfo_cache* cache =
      cpuinfo_initialize() && cpuinfo_get_l2_caches_count() != 0
          ? cpuinfo_get_l2_cache(0)
          : NULL;
  if (cache == NULL || cache->size == 0) {
    return kUnknownCache / 4;
  }
  const size_t processors_per_core = max(
      cpuinfo_get_processors_count() / max(cpuinfo_get_cores_count(), 1), 1);
  const size_t cores = max(cache->processor_count / processors_per_core, 1);
  return cache->size / cores / 4;
}

static void run_task(const void* context, size_t group, size_t channel_block,
                     size_t batch, size_t row, size_t num_batches,
                     size_t num_rows) {
  (void)num_batches;  // one
  const struct xnn_operator* op =
      (const struct xnn_operator*)((uintptr_t)context -
                                   offsetof(struct xnn_operator, context));
  const struct gemm_loops* loops = &op->gemm_loops;
  const size_t channel = channel_block * loops->channels_per_block;
  const struct gemm_block block = {
      .group = group,
      .channel = channel,
      .num_channels =
          min(loops->channels_per_block, loops->num_channels - channel),
      .batch = batch,
      .row = row,
      .num_rows = num_rows,
  };
  loops->run(op, &block);
}

void gemm_loops_set(struct xnn_operator* op, struct compute_parameters* compute,
                    const struct gemm_extent* extent, gemm_block_fn run,
                    pthreadpool_t threadpool) {
  const size_t nr = extent->nr;
  const size_t num_tiles = divide_round_up(extent->num_rows, extent->mr);
  const size_t num_others = extent->num_groups * extent->num_batches;
  const size_t num_threads = pthreadpool_get_threads_count(threadpool);
  size_t channels = extent->num_channels;
  if (num_tiles * extent->num_batches > 1) {
    channels =
        min(channels,
            max(weight_bytes_per_block() / extent->channel_bytes / nr, 1) * nr);
  }
  size_t tiles_per_task = num_tiles;
  if (num_threads > 1) {
    const size_t num_tasks = num_threads * kTasksPerThread;
    const size_t most = divide_round_up(
        extent->num_channels * num_tiles * num_others, num_tasks);
    channels = min(channels, round_up(most, nr));
    tiles_per_task =
        divide_round_up(num_tiles * num_others *
                            divide_round_up(extent->num_channels, channels),
                        num_tasks);
    tiles_per_task = min(tiles_per_task, num_tiles);
  }
  op->gemm_loops = (struct gemm_loops){
      .run = run,
      .num_channels = extent->num_channels,
      .mr = extent->mr,
      .channels_per_block = channels,
  };
  compute->type = xnn_parallelization_type_4d_tile_2d;
  compute->task_4d_tile_2d = (pthreadpool_task_4d_tile_2d_t)run_task;
  compute->range[0] = extent->num_groups;
  compute->range[1] = divide_round_up(extent->num_channels, channels);
  compute->range[2] = extent->num_batches;
  compute->range[3] = extent->num_rows;
  compute->tile[0] = 1;
  compute->tile[1] = tiles_per_task * extent->mr;
}

static void* at(const void* base, size_t offset) {
  return (void*)((uintptr_t)base + offset);
}

// A GEMM reads contiguous rows, all batch elements in one.
static bool is_gemm(const struct xnn_operator* op) {
  return op->ukernel.type == xnn_microkernel_type_gemm;
}

void gemm_run_indirect_tile(const struct xnn_operator* op,
                            const struct gemm_block* tile,
                            const void** pointers, void* output,
                            size_t output_stride) {
  const struct igemm_context* context = &op->context.igemm.igemm;
  context->ukernel.function[XNN_UARCH_DEFAULT](
      tile->num_rows, tile->num_channels, context->kc, context->ks_scaled,
      pointers,
      at(context->packed_w,
         tile->group * context->gw_stride + tile->channel * context->w_stride),
      output, output_stride, context->cn_stride,
      context->a_offset + tile->group * context->ga_stride +
          tile->batch * context->ba_stride,
      context->zero, &context->params);
}

static void run_tile(const struct xnn_operator* op,
                     const struct gemm_block* tile, void* output,
                     size_t output_stride) {
  if (is_gemm(op)) {
    const struct gemm_context* context = &op->context.gemm.gemm.gemm;
    context->ukernel.function[XNN_UARCH_DEFAULT](
        tile->num_rows, tile->num_channels, context->k_scaled,
        at(context->a,
           tile->group * context->ga_stride + tile->row * context->a_stride),
        context->a_stride,
        at(context->packed_w, tile->group * context->gw_stride +
                                  tile->channel * context->w_stride),
        output, output_stride, context->cn_stride, context->fused_params);
    return;
  }
  const struct igemm_context* context = &op->context.igemm.igemm;
  gemm_run_indirect_tile(
      op, tile,
      at(context->indirect_a, tile->row * context->ks * sizeof(void*)), output,
      output_stride);
}

static void run_dense(const struct xnn_operator* op,
                      const struct gemm_block* block) {
  struct gemm_block tile = *block;
  void* output;
  size_t stride;
  if (is_gemm(op)) {
    const struct gemm_context* context = &op->context.gemm.gemm.gemm;
    stride = context->cm_stride;
    output = at(context->c, block->group * context->gc_stride +
                                (block->channel << context->log2_csize));
  } else {
    const struct igemm_context* context = &op->context.igemm.igemm;
    stride = context->cm_stride;
    output = at(context->c, block->group * context->gc_stride +
                                block->batch * context->bc_stride +
                                (block->channel << context->log2_csize));
  }
  const size_t end = block->row + block->num_rows;
  for (; tile.row < end; tile.row += op->gemm_loops.mr) {
    tile.num_rows = min(end - tile.row, op->gemm_loops.mr);
    run_tile(op, &tile, at(output, tile.row * stride), stride);
  }
}

// The extent of an invocation of upstream's, if it is one that run_dense can
// take over. Weights of grouped GEMMs may be broadcast: those stay as they are.
static bool read_extent(const struct xnn_operator* op,
                        const struct compute_parameters* compute,
                        struct gemm_extent* extent) {
  const struct {
    const void* task;
    size_t num_batches;
    size_t num_groups;
    // Place of the rows in the ranges; channels follow.
    size_t rows;
  } tasks[] = {
      {xnn_compute_gemm, 1, 1, 0},
      {xnn_compute_igemm, 1, 1, 0},
      {xnn_compute_batch_igemm, compute->range[0], 1, 1},
      {xnn_compute_grouped_igemm, 1, compute->range[0], 1},
      {xnn_compute_grouped_batch_igemm, compute->range[0], compute->range[1],
       2},
  };
  for (size_t i = 0; i < XNN_COUNT_OF(tasks); i++) {
    if ((const void*)compute->task_2d_tile_2d == tasks[i].task) {
      *extent = (struct gemm_extent){
          .num_groups = tasks[i].num_groups,
          .num_channels = compute->range[tasks[i].rows + 1],
          .num_batches = tasks[i].num_batches,
          .num_rows = compute->range[tasks[i].rows],
          .mr = compute->tile[0],
          .nr = is_gemm(op) ? op->ukernel.gemm.nr : op->ukernel.igemm.nr,
          .channel_bytes = is_gemm(op) ? op->context.gemm.gemm.gemm.w_stride
                                       : op->context.igemm.igemm.w_stride,
      };
      return true;
    }
  }
  return false;
}

void xnn_reorder_gemm_loops(struct xnn_operator* op, pthreadpool_t threadpool) {
  for (size_t i = 0; i < XNN_MAX_COMPUTE_INVOCATIONS; i++) {
    struct gemm_extent extent;
    if (op->compute[i].type != xnn_parallelization_type_invalid &&
        read_extent(op, &op->compute[i], &extent)) {
      gemm_loops_set(op, &op->compute[i], &extent, run_dense, threadpool);
    }
  }
}
