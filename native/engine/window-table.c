#include "native/engine/window-table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/plane.h"
#include "native/engine/row-set.h"
#include "native/engine/shared-table.h"
#include "native/engine/window.h"
#include "xnnpack/allocator.h"
#include "xnnpack/common.h"
#include "xnnpack/math.h"

static size_t num_rows_of(const struct window_table_key* key) {
  return key->output != NULL ? key->output->count
                             : plane_pixels(key->window.output);
}

static const void* pointer_to(const struct window_table* table, uint32_t row) {
  return row == ROW_NONE ? table->zero_row
                         : (const void*)((uintptr_t)window_table_base(table) +
                                         row * table->key.row_bytes);
}

static const void* pointer_under_tap(const struct window_table* table,
                                     size_t pixel, uint32_t ky, uint32_t kx) {
  return pointer_to(
      table, window_row_under_tap(&table->key.window, table->key.input, pixel,
                                  ky, kx));
}

// Kernels may read past a row's end as far as channel tiles reach.
static bool make_zero_row(struct window_table* table) {
  const size_t size =
      round_up_po2(table->key.row_bytes, XNN_ALLOCATION_ALIGNMENT) +
      XNN_ALLOCATION_ALIGNMENT + XNN_EXTRA_BYTES;
  table->zero_row = xnn_allocate_simd_memory(size);
  if (table->zero_row != NULL) {
    memset(table->zero_row, table->key.zero, size);
  }
  table->bytes += size;
  return table->zero_row != NULL;
}

static bool make_room(struct window_table* table) {
  table->pointers = xnn_allocate_memory(table->num_pointers * sizeof(void*));
  table->bytes += table->num_pointers * sizeof(void*);
  return table->pointers != NULL;
}

void window_table_point(const struct window_table* table,
                        const uint32_t* pixels, size_t num_rows,
                        const void** pointers) {
  for (size_t i = 0; i < num_rows; i++) {
    pointers[i] = pointer_to(table, row_set_row(table->key.input, pixels[i]));
  }
  for (size_t i = num_rows; i % table->key.tile_rows != 0; i++) {
    pointers[i] = pointers[num_rows - 1];
  }
}

static bool point_tiles(struct window_table* table, const uint32_t* pixels) {
  const struct window* window = &table->key.window;
  if (window_is_identity(window)) {
    return true;
  }
  const size_t mr = table->key.tile_rows;
  const size_t num_rows = num_rows_of(&table->key);
  table->num_pointers = round_up(num_rows, mr) * window_num_taps(window);
  if (!make_room(table)) {
    return false;
  }
  const void** pointer = table->pointers;
  for (size_t tile = 0; tile < num_rows; tile += mr) {
    for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
      for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
        for (size_t m = 0; m < mr; m++) {
          const size_t row = min(tile + m, num_rows - 1);
          *pointer++ = pointer_under_tap(table, pixels[row], ky, kx);
        }
      }
    }
  }
  return true;
}

static bool point_columns(struct window_table* table) {
  const struct window* window = &table->key.window;
  const struct plane plane = window->output;
  const size_t step = window->dilation_width == 1
                          ? min(window->stride_width, window->kernel_width)
                          : window->kernel_width;
  table->pixel_pointers = step * window->kernel_height;
  table->line_pointers =
      window_num_taps(window) + (plane.width - 1) * table->pixel_pointers;
  table->num_pointers = plane.height * table->line_pointers + table->key.slack;
  if (!make_room(table)) {
    return false;
  }
  for (size_t y = 0; y < plane.height; y++) {
    for (size_t x = 0; x < plane.width; x++) {
      const void** pointer = window_table_pointers(table, y, x);
      for (uint32_t kx = 0; kx < window->kernel_width; kx++) {
        for (uint32_t ky = 0; ky < window->kernel_height; ky++) {
          *pointer++ = pointer_under_tap(table, y * plane.width + x, ky, kx);
        }
      }
    }
  }
  for (size_t i = table->num_pointers - table->key.slack;
       i < table->num_pointers; i++) {
    table->pointers[i] = table->zero_row;
  }
  return true;
}

static bool find_live_taps(struct window_table* table, const uint32_t* pixels) {
  const struct window_table_key* key = &table->key;
  const size_t num_rows = num_rows_of(key);
  const size_t num_tiles = divide_round_up(num_rows, key->tile_rows);
  table->live_taps = xnn_allocate_zero_memory(num_tiles * sizeof(uint64_t));
  table->bytes += num_tiles * sizeof(uint64_t);
  if (table->live_taps == NULL) {
    return false;
  }
  for (size_t row = 0; row < num_rows; row++) {
    table->live_taps[row / key->tile_rows] |=
        window_live_taps(&key->window, key->input, pixels[row]);
  }
  return true;
}

static void release(struct shared_table* shared) {
  struct window_table* table = (struct window_table*)shared;
  xnn_release_memory(table->pointers);
  xnn_release_simd_memory(table->zero_row);
  xnn_release_memory(table->live_taps);
  xnn_release_memory(table);
}

static struct shared_table* make(const void* key) {
  struct window_table* table =
      xnn_allocate_zero_memory(sizeof(struct window_table));
  if (table == NULL) {
    return NULL;
  }
  table->key = *(const struct window_table_key*)key;
  table->bytes = sizeof(*table);
  bool ok = make_zero_row(table);
  if (table->key.tile_rows == 0) {
    ok = ok && point_columns(table);
  } else {
    const size_t num_rows = num_rows_of(&table->key);
    uint32_t* pixels = xnn_allocate_memory(num_rows * sizeof(uint32_t));
    ok = ok && pixels != NULL;
    if (ok) {
      row_set_pixels(table->key.output, 0, num_rows, pixels);
      ok = point_tiles(table, pixels) &&
           (!table->key.has_live_taps || find_live_taps(table, pixels));
    }
    xnn_release_memory(pixels);
  }
  if (!ok) {
    release(&table->shared);
    return NULL;
  }
  return &table->shared;
}

static bool has_key(const struct shared_table* shared, const void* key) {
  const struct window_table_key* own =
      &((const struct window_table*)shared)->key;
  const struct window_table_key* other = key;
  return window_equals(&own->window, &other->window) &&
         own->input == other->input && own->output == other->output &&
         own->row_bytes == other->row_bytes && own->zero == other->zero &&
         own->tile_rows == other->tile_rows && own->slack == other->slack &&
         own->has_live_taps == other->has_live_taps;
}

static const struct shared_table_kind kWindowTable = {
    .has_key = has_key,
    .make = make,
    .release = release,
};

struct window_table* window_table_get(struct shared_tables* tables,
                                      const struct window_table_key* key) {
  return (struct window_table*)shared_tables_get(tables, &kWindowTable, key);
}

// Bytes of the indirection buffer of upstream's operator for dense tensors;
// GEMMs over contiguous rows have none.
static size_t upstream_bytes(const struct window_table* table) {
  const struct window* window = &table->key.window;
  const bool is_contiguous =
      window_num_taps(window) == 1 &&
      (window->stride_height | window->stride_width) == 1;
  const size_t pointers =
      table->key.tile_rows == 0 ? table->num_pointers
      : is_contiguous
          ? 0
          : round_up(plane_pixels(window->output), table->key.tile_rows) *
                window_num_taps(window);
  return min(pointers, table->num_pointers) * sizeof(void*);
}

size_t window_tables_extra_bytes(const struct shared_tables* tables) {
  size_t bytes = 0;
  for (const struct shared_table* shared = tables->first; shared != NULL;
       shared = shared->next) {
    if (shared->kind == &kWindowTable) {
      const struct window_table* table = (const struct window_table*)shared;
      bytes += table->bytes - upstream_bytes(table);
    }
  }
  return bytes;
}
