#include "native/engine/window-operator.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/kernels/live-tap-igemm.h"
#include "native/engine/node-role.h"
#include "native/engine/row-flags.h"
#include "native/engine/row-plan.h"
#include "native/engine/window-tasks.h"
#include "pthreadpool.h"
#include "xnnpack/allocator.h"
#include "xnnpack/common.h"
#include "xnnpack/compute.h"
#include "xnnpack/log.h"
#include "xnnpack/math.h"
#include "xnnpack/microkernel-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

// Upstream's rule for how finely rows are split between threads.
static const size_t kTilesPerThread = 5;

// Our kernel that skips dead taps is a little slower than upstream's on those
// that it visits.
static const double kMostLiveTaps = 0.95;

// A block of weights of this size stays in the second-level cache of every
// machine we care for, beside the rows that it is applied to.
static const size_t kWeightBytesPerTask = 256 * 1024;

static uint32_t same_padding_before(size_t input, size_t output,
                                    uint32_t kernel, uint32_t stride,
                                    uint32_t dilation) {
  const size_t covered = (output - 1) * stride + (kernel - 1) * dilation + 1;
  return (uint32_t)(doz(covered, input) / 2);
}

struct window window_of(const struct xnn_value* values,
                        const struct xnn_node* node) {
  struct window window;
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      window = (struct window){
          .kernel_height = node->params.convolution_2d.kernel_height,
          .kernel_width = node->params.convolution_2d.kernel_width,
          .stride_height = node->params.convolution_2d.subsampling_height,
          .stride_width = node->params.convolution_2d.subsampling_width,
          .dilation_height = node->params.convolution_2d.dilation_height,
          .dilation_width = node->params.convolution_2d.dilation_width,
          .padding_top = node->params.convolution_2d.input_padding_top,
          .padding_left = node->params.convolution_2d.input_padding_left,
      };
      break;
    case xnn_node_type_depthwise_convolution_2d:
      window = (struct window){
          .kernel_height = node->params.depthwise_convolution_2d.kernel_height,
          .kernel_width = node->params.depthwise_convolution_2d.kernel_width,
          .stride_height =
              node->params.depthwise_convolution_2d.subsampling_height,
          .stride_width =
              node->params.depthwise_convolution_2d.subsampling_width,
          .dilation_height =
              node->params.depthwise_convolution_2d.dilation_height,
          .dilation_width =
              node->params.depthwise_convolution_2d.dilation_width,
          .padding_top =
              node->params.depthwise_convolution_2d.input_padding_top,
          .padding_left =
              node->params.depthwise_convolution_2d.input_padding_left,
      };
      break;
    default:
      window = (struct window){
          .kernel_height = node->params.pooling_2d.pooling_height,
          .kernel_width = node->params.pooling_2d.pooling_width,
          .stride_height = node->params.pooling_2d.stride_height,
          .stride_width = node->params.pooling_2d.stride_width,
          .dilation_height = node->params.pooling_2d.dilation_height,
          .dilation_width = node->params.pooling_2d.dilation_width,
          .padding_top = node->params.pooling_2d.padding_top,
          .padding_left = node->params.pooling_2d.padding_left,
      };
      break;
  }
  if (node->flags & XNN_FLAG_TENSORFLOW_SAME_PADDING) {
    const struct xnn_value* input = &values[node->inputs[0]];
    const struct xnn_value* output = &values[node->outputs[0]];
    window.padding_top = same_padding_before(
        input->shape.dim[1], output->shape.dim[1], window.kernel_height,
        window.stride_height, window.dilation_height);
    window.padding_left = same_padding_before(
        input->shape.dim[2], output->shape.dim[2], window.kernel_width,
        window.stride_width, window.dilation_width);
  }
  return window;
}

static size_t num_taps(const struct window* window) {
  return (size_t)window->kernel_height * window->kernel_width;
}

bool window_can_skip_taps(const struct window* window) {
  return num_taps(window) > 1 && num_taps(window) <= 64;
}

bool window_operator_supports(const struct xnn_value* values,
                              const struct xnn_node* node) {
  const struct xnn_value* input = &values[node->inputs[0]];
  const struct xnn_value* output = &values[node->outputs[0]];
  if (input->datatype != output->datatype ||
      input->layout != xnn_layout_type_nhwc ||
      output->layout != xnn_layout_type_nhwc || input->shape.num_dims != 4 ||
      output->shape.num_dims != 4 || xnn_value_is_static(input) ||
      xnn_shape_multiply_all_dims(&input->shape) == 0 ||
      xnn_shape_multiply_all_dims(&output->shape) == 0) {
    return false;
  }
  switch (input->datatype) {
    case xnn_datatype_fp32:
    case xnn_datatype_fp16:
    case xnn_datatype_qint8:
    case xnn_datatype_quint8:
      break;
    default:
      return false;
  }
  if (node->type == xnn_node_type_max_pooling_2d) {
    const struct window window = window_of(values, node);
    return num_taps(&window) <= WINDOW_MAX_POOLING_TAPS &&
           (window.dilation_height | window.dilation_width) == 1;
  }
  return xnn_value_is_static(&values[node->inputs[1]]);
}

bool window_operator_is_pointwise(const struct xnn_value* values,
                                  const struct xnn_node* node) {
  const struct window window = window_of(values, node);
  return node->type != xnn_node_type_max_pooling_2d &&
         (window.kernel_height | window.kernel_width | window.stride_height |
          window.stride_width) == 1 &&
         (window.padding_top | window.padding_left) == 0 &&
         value_planes_match(&values[node->inputs[0]],
                            &values[node->outputs[0]]);
}

bool window_operator_is_per_channel(const struct xnn_value* values,
                                    const struct xnn_node* node) {
  if (!window_operator_is_pointwise(values, node)) {
    return false;
  }
  return node->type == xnn_node_type_convolution_2d
             ? (node->params.convolution_2d.group_input_channels |
                node->params.convolution_2d.group_output_channels) == 1
             : node->params.depthwise_convolution_2d.depth_multiplier == 1;
}

uint64_t window_operator_macs_per_pixel(const struct xnn_node* node) {
  switch (node->type) {
    case xnn_node_type_convolution_2d:
      return (uint64_t)node->params.convolution_2d.kernel_height *
             node->params.convolution_2d.kernel_width *
             node->params.convolution_2d.group_input_channels *
             node->params.convolution_2d.groups *
             node->params.convolution_2d.group_output_channels;
    case xnn_node_type_depthwise_convolution_2d:
      return (uint64_t)node->params.depthwise_convolution_2d.kernel_height *
             node->params.depthwise_convolution_2d.kernel_width *
             node->params.depthwise_convolution_2d.input_channels *
             node->params.depthwise_convolution_2d.depth_multiplier;
    default:
      return 0;
  }
}

static int64_t clamp_to(int64_t position, int64_t size) {
  return position < 0 ? 0 : position >= size ? size - 1 : position;
}

// The row of the input tensor under a tap of an output pixel's window, or
// ROW_NONE where that is padding or masked. Poolings have no padding value:
// their windows are clamped to the plane instead.
static uint32_t row_under_tap(const struct row_plan* plan, size_t pixel,
                              uint32_t ky, uint32_t kx, bool clamp) {
  const struct window* window = &plan->window;
  const int64_t output_y = (int64_t)(pixel / plan->output_width);
  const int64_t output_x = (int64_t)(pixel % plan->output_width);
  int64_t y = output_y * window->stride_height +
              (int64_t)ky * window->dilation_height - window->padding_top;
  int64_t x = output_x * window->stride_width +
              (int64_t)kx * window->dilation_width - window->padding_left;
  if (clamp) {
    y = clamp_to(y, plan->input_height);
    x = clamp_to(x, plan->input_width);
  } else if (y < 0 || x < 0 || y >= plan->input_height ||
             x >= plan->input_width) {
    return ROW_NONE;
  }
  const size_t input_pixel = (size_t)y * plan->input_width + (size_t)x;
  return plan->input != NULL ? plan->input->row[input_pixel]
                             : (uint32_t)input_pixel;
}

uint64_t window_live_taps(const struct row_plan* plan, size_t pixel) {
  uint64_t live = 0;
  uint64_t tap = 1;
  for (uint32_t ky = 0; ky < plan->window.kernel_height; ky++) {
    for (uint32_t kx = 0; kx < plan->window.kernel_width; kx++) {
      if (row_under_tap(plan, pixel, ky, kx, /*clamp=*/false) != ROW_NONE) {
        live |= tap;
      }
      tap <<= 1;
    }
  }
  return live;
}

static const void* pointer_under_tap(const struct row_plan* plan,
                                     const struct xnn_operator* op, size_t row,
                                     uint32_t ky, uint32_t kx, bool clamp) {
  const size_t pixel = plan->output != NULL ? plan->output->pixel[row] : row;
  const uint32_t input_row = row_under_tap(plan, pixel, ky, kx, clamp);
  if (input_row == ROW_NONE) {
    return op->zero_buffer;
  }
  return (const void*)((uintptr_t)op->last_input +
                       input_row * plan->input_row_bytes);
}

// GEMM kernels want, for each tile of MR rows and each tap, MR pointers; a
// last tile that is not full repeats its last row.
static void point_igemm(const struct row_plan* plan, struct xnn_operator* op,
                        size_t mr) {
  const size_t num_rows = row_plan_computed_rows(plan);
  const struct window* window = &plan->window;
  const void** pointer = op->indirection_buffer;
  for (size_t tile = 0; tile < num_rows; tile += mr) {
    for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
      for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
        for (size_t m = 0; m < mr; m++) {
          const size_t row = min(tile + m, num_rows - 1);
          *pointer++ = pointer_under_tap(plan, op, row, ky, kx, false);
        }
      }
    }
  }
}

// Depthwise and pooling kernels want the taps of each row in column order.
static const void** point_rows(const struct row_plan* plan,
                               struct xnn_operator* op, bool clamp) {
  const struct window* window = &plan->window;
  const void** pointer = op->indirection_buffer;
  for (size_t row = 0; row < row_plan_computed_rows(plan); row++) {
    for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
      for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
        *pointer++ = pointer_under_tap(plan, op, row, ky, kx, clamp);
      }
    }
  }
  return pointer;
}

// The kernel that skips dead taps, if there is one for this convolution's
// weights and tiles.
static struct live_tap_kernel live_tap_kernel_for(const struct row_plan* plan,
                                                  const struct xnn_operator* op,
                                                  size_t mr) {
  const struct live_tap_kernel none = {NULL, 0, 0};
  const struct live_tap_kernel kernel = live_tap_kernel_for_machine();
  const bool fits = plan->is_float32 && window_can_skip_taps(&plan->window) &&
                    kernel.function != NULL && kernel.mr == mr &&
                    kernel.nr == op->ukernel.igemm.nr &&
                    op->ukernel.igemm.kr == 1 && op->ukernel.igemm.sr == 1;
  return fits ? kernel : none;
}

// Finds the live taps of each tile; leaves plan->live_taps NULL if visiting
// those alone would not save enough. Returns false when out of memory.
static bool find_live_taps(struct row_plan* plan, size_t mr) {
  const size_t num_rows = row_plan_computed_rows(plan);
  const size_t num_tiles = divide_round_up(num_rows, mr);
  uint64_t* live_taps = xnn_allocate_zero_memory(num_tiles * sizeof(uint64_t));
  if (live_taps == NULL) {
    return false;
  }
  for (size_t row = 0; row < num_rows; row++) {
    const size_t pixel = plan->output != NULL ? plan->output->pixel[row] : row;
    live_taps[row / mr] |= window_live_taps(plan, pixel);
  }
  size_t num_live = 0;
  for (size_t tile = 0; tile < num_tiles; tile++) {
    num_live += (size_t)__builtin_popcountll(live_taps[tile]);
  }
  const size_t num_all = num_tiles * num_taps(&plan->window);
  if ((double)num_live > kMostLiveTaps * (double)num_all) {
    xnn_release_memory(live_taps);
    return true;
  }
  plan->live_taps = live_taps;
  return true;
}

static enum xnn_status allocate_zero_row(const struct row_plan* plan,
                                         struct xnn_operator* op) {
  // Kernels may read past a row's end as far as channel tiles reach.
  const size_t size =
      round_up_po2(plan->input_row_bytes, XNN_ALLOCATION_ALIGNMENT) +
      XNN_ALLOCATION_ALIGNMENT + XNN_EXTRA_BYTES;
  xnn_release_simd_memory(op->zero_buffer);
  op->zero_buffer = xnn_allocate_simd_memory(size);
  if (op->zero_buffer == NULL) {
    xnn_log_error("failed to allocate %zu bytes for a zero row", size);
    return xnn_status_out_of_memory;
  }
  memset(op->zero_buffer, plan->input_zero, size);
  op->zero_size = size;
  return xnn_status_success;
}

static enum xnn_status create_window_operator(
    const struct xnn_node* node, const struct xnn_value* values,
    size_t num_values, struct xnn_operator_data* opdata,
    struct xnn_code_cache* code_cache, xnn_weights_cache_t weights_cache) {
  struct row_plan* plan = node->row_plan;
  if (row_plan_is_dense(plan)) {
    const enum xnn_status status = plan->create(
        node, values, num_values, opdata, code_cache, weights_cache);
    if (status == xnn_status_success) {
      opdata->operator_objects[0]->row_plan = plan;
    }
    return status;
  }
  struct xnn_node upstream_node = *node;
  // The indirection buffer holds what no later pass could derive again.
  upstream_node.flags &= ~(uint32_t)XNN_FLAG_TRANSIENT_INDIRECTION_BUFFER;
  if (node->type != xnn_node_type_max_pooling_2d) {
    upstream_node.flags |= XNN_FLAG_ROW_INDIRECTION;
  }
  enum xnn_status status = plan->create(&upstream_node, values, num_values,
                                        opdata, code_cache, weights_cache);
  if (status != xnn_status_success) {
    return status;
  }
  struct xnn_operator* op = opdata->operator_objects[0];
  op->row_plan = plan;
  op->kernel_height = 1;
  op->kernel_width = (uint32_t)num_taps(&plan->window);
  op->stride_height = 1;
  op->stride_width = op->kernel_width;
  op->dilation_height = 1;
  op->dilation_width = 1;
  op->padding_top = 0;
  op->padding_right = 0;
  op->padding_bottom = 0;
  op->padding_left = 0;
  op->flags &= ~(uint32_t)XNN_FLAG_TENSORFLOW_SAME_PADDING;
  return allocate_zero_row(plan, op);
}

static size_t rows_per_task(size_t num_rows, pthreadpool_t threadpool) {
  const size_t num_threads = pthreadpool_get_threads_count(threadpool);
  return num_threads == 1
             ? num_rows
             : divide_round_up(num_rows, num_threads * kTilesPerThread);
}

// Channels whose weights stay in cache while all rows pass by, and no more than
// give every thread some tiles.
static size_t channels_per_task(const struct xnn_operator* op,
                                size_t num_row_tiles,
                                pthreadpool_t threadpool) {
  const size_t nr = op->ukernel.igemm.nr;
  const size_t in_cache =
      kWeightBytesPerTask / op->context.igemm.igemm.w_stride;
  size_t channels = min(op->group_output_channels, max(in_cache / nr, 1) * nr);
  const size_t num_threads = pthreadpool_get_threads_count(threadpool);
  if (num_threads > 1) {
    const size_t for_threads =
        divide_round_up(op->group_output_channels * num_row_tiles,
                        num_threads * kTilesPerThread);
    channels = min(channels, round_up(for_threads, nr));
  }
  return channels;
}

static bool finish_igemm(struct row_plan* plan, struct xnn_operator* op,
                         size_t batch_size, pthreadpool_t threadpool,
                         bool refill) {
  struct igemm_context* context = &op->context.igemm.igemm;
  struct compute_parameters* compute = &op->compute[0];
  const size_t mr = compute->tile[0];
  const size_t num_rows = row_plan_computed_rows(plan);
  if (refill) {
    point_igemm(plan, op, mr);
    if (live_tap_kernel_for(plan, op, mr).function != NULL &&
        !find_live_taps(plan, mr)) {
      return false;
    }
  }
  context->indirect_a = op->indirection_buffer;
  context->zero = op->zero_buffer;
  context->ba_stride = row_plan_input_rows(plan) * plan->input_row_bytes;
  context->bc_stride = row_plan_output_rows(plan) * plan->output_row_bytes;
  compute->type = xnn_parallelization_type_4d_tile_2d;
  compute->task_4d_tile_2d = (pthreadpool_task_4d_tile_2d_t)window_task_igemm;
  compute->range[0] = batch_size;
  compute->range[1] = op->groups;
  compute->range[2] = op->group_output_channels;
  compute->range[3] = num_rows;
  compute->tile[0] = channels_per_task(
      op, batch_size * op->groups * divide_round_up(num_rows, mr), threadpool);
  compute->tile[1] = mr;
  return true;
}

static void finish_dwconv(const struct row_plan* plan, struct xnn_operator* op,
                          struct xnn_operator_data* opdata, size_t batch_size,
                          pthreadpool_t threadpool, bool refill) {
  struct dwconv_context* context = &op->context.dwconv.dwconv;
  const size_t num_rows = row_plan_computed_rows(plan);
  if (refill) {
    // Kernels of a larger tile read, but multiply by zero, what follows.
    const void** end = point_rows(plan, op, /*clamp=*/false);
    const size_t slack = op->ukernel.dwconv.tile_size - num_taps(&plan->window);
    for (size_t i = 0; i < slack; i++) {
      end[i] = op->zero_buffer;
    }
  }
  context->indirect_input = op->indirection_buffer;
  context->zero = op->zero_buffer;
  context->input_batch_stride =
      row_plan_input_rows(plan) * plan->input_row_bytes;
  context->output_batch_stride =
      row_plan_output_rows(plan) * plan->output_row_bytes;

  struct compute_parameters* compute = &op->compute[0];
  compute->type = xnn_parallelization_type_2d_tile_1d;
  compute->range[0] = batch_size;
  compute->range[1] = num_rows;
  compute->tile[0] = rows_per_task(num_rows, threadpool);
  compute->task_2d_tile_1d = (pthreadpool_task_2d_tile_1d_t)window_task_dwconv;
  if (op->ukernel.dwconv.last_tile != 0) {
    opdata->workspace_size = batch_size *
                             divide_round_up(num_rows, compute->tile[0]) *
                             context->buffer_size;
    opdata->workspace_alignment = XNN_ALLOCATION_ALIGNMENT;
  }
}

static void finish_max_pooling(const struct row_plan* plan,
                               struct xnn_operator* op, size_t batch_size,
                               pthreadpool_t threadpool, bool refill) {
  struct max_pooling_context* context = &op->context.max_pooling;
  const size_t num_rows = row_plan_computed_rows(plan);
  if (refill) {
    point_rows(plan, op, /*clamp=*/true);
  }
  context->indirect_input = op->indirection_buffer;
  context->input_batch_stride =
      row_plan_input_rows(plan) * plan->input_row_bytes;
  context->output_batch_stride =
      row_plan_output_rows(plan) * plan->output_row_bytes;

  struct compute_parameters* compute = &op->compute[0];
  compute->type = xnn_parallelization_type_2d_tile_1d;
  compute->task_2d_tile_1d =
      (pthreadpool_task_2d_tile_1d_t)window_task_max_pooling;
  compute->range[0] = batch_size;
  compute->range[1] = num_rows;
  compute->tile[0] = rows_per_task(num_rows, threadpool);
}

// Appends to the operator's tasks one that zeroes the masked pixels.
static void zero_afterwards(const struct row_plan* plan,
                            struct xnn_operator* op, size_t batch_size,
                            pthreadpool_t threadpool) {
  struct compute_parameters* compute = &op->compute[0];
  while (compute->type != xnn_parallelization_type_invalid &&
         compute->task_2d_tile_1d !=
             (pthreadpool_task_2d_tile_1d_t)window_task_zero) {
    compute++;
  }
  const struct row_set* rows = plan->zeroed_outside;
  const size_t num_masked = (size_t)rows->height * rows->width - rows->count;
  compute->type = xnn_parallelization_type_2d_tile_1d;
  compute->task_2d_tile_1d = (pthreadpool_task_2d_tile_1d_t)window_task_zero;
  compute->range[0] = batch_size;
  compute->range[1] = num_masked;
  compute->tile[0] = rows_per_task(num_masked, threadpool);
}

// Pointers in the indirection buffer of upstream's operator for dense tensors.
// Windows of neighbouring pixels share columns there, except in GEMMs, which
// need no buffer at all for contiguous rows.
static size_t upstream_pointers(const struct row_plan* plan,
                                const struct xnn_operator* op) {
  const struct window* window = &plan->window;
  const size_t pixels = (size_t)plan->output_height * plan->output_width;
  if (op->ukernel.type != xnn_microkernel_type_igemm) {
    return pixels * window->kernel_height *
           min(window->stride_width, window->kernel_width);
  }
  const bool is_contiguous =
      num_taps(window) == 1 &&
      (window->stride_height | window->stride_width) == 1;
  return is_contiguous ? 0 : pixels * num_taps(window);
}

static enum xnn_status reshape_rows(struct xnn_operator_data* opdata,
                                    struct xnn_value* values, size_t num_values,
                                    pthreadpool_t threadpool) {
  struct xnn_operator* op = opdata->operator_objects[0];
  struct row_plan* plan = op->row_plan;
  struct xnn_value* input = &values[opdata->inputs[0]];
  struct xnn_value* output = &values[opdata->outputs[0]];
  const size_t batch_size = input->shape.dim[0];
  const struct xnn_shape input_shape = input->shape;
  const size_t output_size = output->size;
  const size_t workspace_size = opdata->workspace_size;
  const size_t num_pointers =
      row_plan_computed_rows(plan) * num_taps(&plan->window);
  const bool refill = op->last_input_width != num_pointers;
  input->shape.dim[1] = 1;
  input->shape.dim[2] = num_pointers;
  enum xnn_status status =
      plan->reshape(opdata, values, num_values, threadpool);
  input->shape = input_shape;
  output->size = output_size;
  if (status != xnn_status_success &&
      status != xnn_status_reallocation_required) {
    return status;
  }
  plan->extra_bytes =
      doz(num_pointers, upstream_pointers(plan, op)) * sizeof(void*);
  status =
      row_plan_set_output_shape(plan, batch_size, output->shape.dim[3], output);
  if (batch_size == 0) {
    return status;
  }

  if (opdata->type == xnn_node_type_max_pooling_2d) {
    finish_max_pooling(plan, op, batch_size, threadpool, refill);
  } else if (op->ukernel.type == xnn_microkernel_type_dwconv) {
    finish_dwconv(plan, op, opdata, batch_size, threadpool, refill);
  } else if (!finish_igemm(plan, op, batch_size, threadpool, refill)) {
    return xnn_status_out_of_memory;
  }
  return opdata->workspace_size > workspace_size
             ? xnn_status_reallocation_required
             : status;
}

static enum xnn_status reshape_window_operator(struct xnn_operator_data* opdata,
                                               struct xnn_value* values,
                                               size_t num_values,
                                               pthreadpool_t threadpool) {
  struct xnn_operator* op = opdata->operator_objects[0];
  const struct row_plan* plan = op->row_plan;
  const struct xnn_value* input = &values[opdata->inputs[0]];
  enum xnn_status status = row_plan_check_input(plan, input);
  if (status != xnn_status_success) {
    return status;
  }
  status = row_plan_is_dense(plan)
               ? plan->reshape(opdata, values, num_values, threadpool)
               : reshape_rows(opdata, values, num_values, threadpool);
  if (plan->zeroed_outside != NULL && input->shape.dim[0] != 0 &&
      (status == xnn_status_success ||
       status == xnn_status_reallocation_required)) {
    zero_afterwards(plan, op, input->shape.dim[0], threadpool);
  }
  return status;
}

void window_operator_attach(const struct xnn_value* values,
                            struct xnn_node* node, struct row_plan* plan) {
  plan->window = window_of(values, node);
  plan->is_float32 = values[node->inputs[0]].datatype == xnn_datatype_fp32;
  plan->create = node->create;
  plan->reshape = node->reshape;
  node->row_plan = plan;
  node->create = create_window_operator;
  node->reshape = reshape_window_operator;
}
