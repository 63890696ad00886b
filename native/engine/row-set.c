#include "native/engine/row-set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xnnpack/allocator.h"

static size_t plane_size(const struct row_set* set) {
  return (size_t)set->height * set->width;
}

static bool has_pixel(const struct row_set* set, size_t pixel) {
  return set == NULL || set->row[pixel] != ROW_NONE;
}

static bool holds_exactly(const struct row_set* set, const uint8_t* kept,
                          uint32_t height, uint32_t width) {
  if (set->height != height || set->width != width) {
    return false;
  }
  for (size_t p = 0; p < plane_size(set); p++) {
    if (has_pixel(set, p) != (kept[p] != 0)) {
      return false;
    }
  }
  return true;
}

// Raster order: neighbours in a line of the image stay neighbours in memory,
// and zero insertion writes forwards.
static void number_rows(struct row_set* set, const uint8_t* kept) {
  uint32_t next_kept = 0;
  uint32_t next_masked = set->count;
  for (uint32_t p = 0; p < plane_size(set); p++) {
    if (kept[p] != 0) {
      set->row[p] = next_kept;
      set->pixel[next_kept++] = p;
    } else {
      set->row[p] = ROW_NONE;
      set->pixel[next_masked++] = p;
    }
  }
}

bool row_set_intern(struct row_set_pool* pool, const uint8_t* kept,
                    uint32_t height, uint32_t width,
                    const struct row_set** set_out) {
  const size_t size = (size_t)height * width;
  uint32_t count = 0;
  for (size_t p = 0; p < size; p++) {
    count += kept[p] != 0;
  }
  if (count == size) {
    *set_out = NULL;
    return true;
  }
  for (struct row_set* set = pool->first; set != NULL; set = set->next) {
    if (holds_exactly(set, kept, height, width)) {
      *set_out = set;
      return true;
    }
  }

  struct row_set* set = xnn_allocate_zero_memory(sizeof(struct row_set));
  if (set == NULL) {
    return false;
  }
  set->pixel = xnn_allocate_memory(size * sizeof(uint32_t));
  set->row = xnn_allocate_memory(size * sizeof(uint32_t));
  if (set->pixel == NULL || set->row == NULL) {
    xnn_release_memory(set->pixel);
    xnn_release_memory(set->row);
    xnn_release_memory(set);
    return false;
  }
  set->height = height;
  set->width = width;
  set->count = count;
  number_rows(set, kept);
  set->next = pool->first;
  pool->first = set;
  *set_out = set;
  return true;
}

static bool combine(struct row_set_pool* pool, const struct row_set* a,
                    const struct row_set* b, bool unite,
                    const struct row_set** set) {
  uint8_t* kept = xnn_allocate_memory(plane_size(a));
  if (kept == NULL) {
    return false;
  }
  bool any = false;
  for (size_t p = 0; p < plane_size(a); p++) {
    kept[p] = unite ? has_pixel(a, p) || has_pixel(b, p)
                    : has_pixel(a, p) && has_pixel(b, p);
    any |= kept[p] != 0;
  }
  *set = b;
  const bool ok = !any || row_set_intern(pool, kept, a->height, a->width, set);
  xnn_release_memory(kept);
  return ok;
}

bool row_set_intersect(struct row_set_pool* pool, const struct row_set* a,
                       const struct row_set* b, const struct row_set** set) {
  if (a == NULL || b == NULL || a == b) {
    *set = a == NULL ? b : a;
    return true;
  }
  return combine(pool, a, b, /*unite=*/false, set);
}

bool row_set_unite(struct row_set_pool* pool, const struct row_set* a,
                   const struct row_set* b, const struct row_set** set) {
  if (a == NULL || b == NULL || a == b) {
    *set = a == NULL ? a : b;
    return true;
  }
  return combine(pool, a, b, /*unite=*/true, set);
}

bool row_set_is_subset(const struct row_set* a, const struct row_set* b) {
  if (a == b || b == NULL) {
    return true;
  }
  if (a == NULL) {
    return false;
  }
  for (uint32_t r = 0; r < a->count; r++) {
    if (!has_pixel(b, a->pixel[r])) {
      return false;
    }
  }
  return true;
}

struct keyed_pixel {
  uint64_t key;
  uint32_t pixel;
};

static int compare_keyed_pixels(const void* a, const void* b) {
  const struct keyed_pixel* x = a;
  const struct keyed_pixel* y = b;
  if (x->key != y->key) {
    return x->key < y->key ? -1 : 1;
  }
  return (x->pixel > y->pixel) - (x->pixel < y->pixel);
}

bool row_set_sort(struct row_set_pool* pool, const struct row_set* set,
                  const uint64_t* keys) {
  struct row_set* own = pool->first;
  while (own != set) {
    own = own->next;
  }
  if (own->is_sorted) {
    return true;
  }
  struct keyed_pixel* pixels =
      xnn_allocate_memory(own->count * sizeof(struct keyed_pixel));
  if (pixels == NULL) {
    return false;
  }
  for (uint32_t r = 0; r < own->count; r++) {
    pixels[r] = (struct keyed_pixel){keys[own->pixel[r]], own->pixel[r]};
  }
  qsort(pixels, own->count, sizeof(struct keyed_pixel), compare_keyed_pixels);
  for (uint32_t r = 0; r < own->count; r++) {
    own->pixel[r] = pixels[r].pixel;
    own->row[pixels[r].pixel] = r;
  }
  own->is_sorted = true;
  xnn_release_memory(pixels);
  return true;
}

size_t row_set_pool_bytes(const struct row_set_pool* pool) {
  size_t bytes = 0;
  for (const struct row_set* set = pool->first; set != NULL; set = set->next) {
    bytes += sizeof(*set) + 2 * plane_size(set) * sizeof(uint32_t);
  }
  return bytes;
}

void row_set_pool_release(struct row_set_pool* pool) {
  struct row_set* set = pool->first;
  while (set != NULL) {
    struct row_set* next = set->next;
    xnn_release_memory(set->pixel);
    xnn_release_memory(set->row);
    xnn_release_memory(set);
    set = next;
  }
  pool->first = NULL;
}
