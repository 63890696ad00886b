#include "native/engine/zero-readers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/plane.h"
#include "native/engine/row-plan.h"
#include "native/engine/row-set.h"
#include "native/engine/shared-table.h"
#include "native/engine/window.h"
#include "native/engine/zero-state.h"
#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-spread.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"
#include "xnnpack/operator.h"

static struct window window_of(const struct xnn_operator* op) {
  const struct row_plan* plan = zero_plan_of(op);
  return plan != NULL ? plan->window
                      : (struct window){
                            .kernel_height = op->kernel_height,
                            .kernel_width = op->kernel_width,
                            .stride_height = op->stride_height,
                            .stride_width = op->stride_width,
                            .dilation_height = op->dilation_height,
                            .dilation_width = op->dilation_width,
                            .padding_top = op->padding_top,
                            .padding_left = op->padding_left,
                            .input = {(uint32_t)op->input_height,
                                      (uint32_t)op->input_width},
                            .output = {(uint32_t)op->output_height,
                                       (uint32_t)op->output_width},
                        };
}

// The input pixels under the taps of a block of rows, [num_rows][num_taps].
static void find_pixels(const struct zero_readers_key* key, size_t row_start,
                        size_t num_rows, uint32_t* pixels) {
  const struct window* window = &key->window;
  uint32_t output_pixels[NONZERO_SPREAD_MAX_ROWS];
  row_set_kept_pixels(key->output, row_start, num_rows, output_pixels);
  for (size_t r = 0; r < num_rows; r++) {
    for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
      for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
        const uint32_t pixel = window_row_under_tap(window, /*rows=*/NULL,
                                                    output_pixels[r], ky, kx);
        *pixels++ = pixel != ROW_NONE && row_set_has(key->input, pixel)
                        ? pixel
                        : NONZERO_NO_PIXEL;
      }
    }
  }
}

static bool find_blocks(struct zero_readers* readers) {
  const struct zero_readers_key* key = &readers->key;
  const struct nonzero_gemm gemm = {
      .kernels = key->kernels,
      .num_taps = window_num_taps(&key->window),
      .taps_at_once = key->taps_at_once,
  };
  const size_t num_pixels = plane_pixels(key->window.input);
  readers->num_blocks = divide_round_up(key->num_rows, key->rows_per_block);
  readers->blocks =
      xnn_allocate_zero_memory(readers->num_blocks * sizeof(*readers->blocks));
  uint32_t* pixels = xnn_allocate_memory(key->rows_per_block * gemm.num_taps *
                                         sizeof(uint32_t));
  uint32_t* rows = xnn_allocate_memory(num_pixels * sizeof(uint32_t));
  bool is_found = readers->blocks != NULL && pixels != NULL && rows != NULL;
  for (size_t p = 0; is_found && p < num_pixels; p++) {
    rows[p] = row_set_row(key->input, p);
  }
  for (size_t b = 0; is_found && b < readers->num_blocks; b++) {
    const size_t row = b * key->rows_per_block;
    const size_t num_rows = min(key->rows_per_block, key->num_rows - row);
    find_pixels(key, row, num_rows, pixels);
    is_found = nonzero_readers_find(&gemm, pixels, num_rows, rows,
                                    &readers->blocks[b]);
  }
  xnn_release_memory(pixels);
  xnn_release_memory(rows);
  return is_found;
}

static void release(struct shared_table* shared) {
  struct zero_readers* readers = (struct zero_readers*)shared;
  for (size_t b = 0; readers->blocks != NULL && b < readers->num_blocks; b++) {
    nonzero_readers_release(&readers->blocks[b]);
  }
  xnn_release_memory(readers->blocks);
  xnn_release_memory(readers);
}

static struct shared_table* make(const void* key) {
  struct zero_readers* readers =
      xnn_allocate_zero_memory(sizeof(struct zero_readers));
  if (readers == NULL) {
    return NULL;
  }
  readers->key = *(const struct zero_readers_key*)key;
  if (!find_blocks(readers)) {
    release(&readers->shared);
    return NULL;
  }
  return &readers->shared;
}

static bool has_key(const struct shared_table* shared, const void* key) {
  const struct zero_readers_key* own =
      &((const struct zero_readers*)shared)->key;
  const struct zero_readers_key* other = key;
  return window_equals(&own->window, &other->window) &&
         own->input == other->input && own->output == other->output &&
         own->num_rows == other->num_rows &&
         own->rows_per_block == other->rows_per_block &&
         own->taps_at_once == other->taps_at_once &&
         own->kernels == other->kernels;
}

static const struct shared_table_kind kZeroReaders = {
    .has_key = has_key,
    .make = make,
    .release = release,
};

bool zero_readers_find(struct zero_skipping* skipping) {
  const struct row_plan* plan = zero_plan_of(skipping->op);
  const struct zero_readers_key key = {
      .window = window_of(skipping->op),
      .input = plan != NULL ? plan->input : NULL,
      .output = plan != NULL ? plan->output : NULL,
      .num_rows = skipping->num_rows,
      .rows_per_block = skipping->rows_per_block,
      .taps_at_once = skipping->gemm.taps_at_once,
      .kernels = skipping->gemm.kernels,
  };
  skipping->readers = (struct zero_readers*)shared_tables_get(
      skipping->op->tables, &kZeroReaders, &key);
  return skipping->readers != NULL;
}

void zero_readers_release(struct zero_skipping* skipping) {
  if (skipping->readers != NULL) {
    shared_tables_leave(skipping->op->tables, &skipping->readers->shared);
    skipping->readers = NULL;
  }
}

size_t zero_readers_bytes(const struct shared_tables* tables) {
  size_t bytes = 0;
  for (const struct shared_table* shared = tables->first; shared != NULL;
       shared = shared->next) {
    if (shared->kind == &kZeroReaders) {
      const struct zero_readers* readers = (const struct zero_readers*)shared;
      bytes += sizeof(*readers);
      for (size_t b = 0; b < readers->num_blocks; b++) {
        bytes += sizeof(readers->blocks[b]) +
                 nonzero_readers_bytes(&readers->blocks[b]);
      }
    }
  }
  return bytes;
}
