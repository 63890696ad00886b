#include "native/engine/row-set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "xnnpack/allocator.h"
#include "xnnpack/math.h"

static size_t plane_size(const struct row_set* set) {
  return (size_t)set->height * set->width;
}

static size_t num_words(size_t pixels) {
  return divide_round_up(pixels, ROW_SET_WORD_PIXELS);
}

static void release(struct row_set* set) {
  xnn_release_memory(set->kept);
  xnn_release_memory(set->kept_before);
  xnn_release_memory(set->pixel_of_row);
  xnn_release_memory(set->row_of_kept);
  xnn_release_memory(set);
}

// Of bits, which are 0 past the last pixel.
static bool intern_words(struct row_set_pool* pool, const uint64_t* kept,
                         uint32_t height, uint32_t width,
                         const struct row_set** set_out) {
  const size_t size = (size_t)height * width;
  const size_t words = num_words(size);
  uint32_t count = 0;
  for (size_t w = 0; w < words; w++) {
    count += (uint32_t)__builtin_popcountll(kept[w]);
  }
  if (count == size) {
    *set_out = NULL;
    return true;
  }
  for (struct row_set* set = pool->first; set != NULL; set = set->next) {
    if (set->height == height && set->width == width &&
        memcmp(set->kept, kept, words * sizeof(uint64_t)) == 0) {
      *set_out = set;
      return true;
    }
  }

  struct row_set* set = xnn_allocate_zero_memory(sizeof(struct row_set));
  if (set == NULL) {
    return false;
  }
  set->kept = xnn_allocate_memory(words * sizeof(uint64_t));
  set->kept_before = xnn_allocate_memory((words + 1) * sizeof(uint32_t));
  if (set->kept == NULL || set->kept_before == NULL) {
    release(set);
    return false;
  }
  set->height = height;
  set->width = width;
  set->count = count;
  memcpy(set->kept, kept, words * sizeof(uint64_t));
  set->kept_before[0] = 0;
  for (size_t w = 0; w < words; w++) {
    set->kept_before[w + 1] =
        set->kept_before[w] + (uint32_t)__builtin_popcountll(kept[w]);
  }
  set->next = pool->first;
  pool->first = set;
  *set_out = set;
  return true;
}

bool row_set_intern(struct row_set_pool* pool, const uint8_t* kept,
                    uint32_t height, uint32_t width,
                    const struct row_set** set) {
  const size_t size = (size_t)height * width;
  uint64_t* bits = xnn_allocate_zero_memory(num_words(size) * sizeof(uint64_t));
  if (bits == NULL) {
    return false;
  }
  for (size_t p = 0; p < size; p++) {
    bits[p / ROW_SET_WORD_PIXELS] |= (uint64_t)(kept[p] != 0)
                                     << p % ROW_SET_WORD_PIXELS;
  }
  const bool ok = intern_words(pool, bits, height, width, set);
  xnn_release_memory(bits);
  return ok;
}

static bool combine(struct row_set_pool* pool, const struct row_set* a,
                    const struct row_set* b, bool unite,
                    const struct row_set** set) {
  const size_t words = num_words(plane_size(a));
  uint64_t* kept = xnn_allocate_memory(words * sizeof(uint64_t));
  if (kept == NULL) {
    return false;
  }
  uint64_t any = 0;
  for (size_t w = 0; w < words; w++) {
    kept[w] = unite ? a->kept[w] | b->kept[w] : a->kept[w] & b->kept[w];
    any |= kept[w];
  }
  *set = b;
  const bool ok =
      any == 0 || intern_words(pool, kept, a->height, a->width, set);
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
  for (size_t w = 0; w < num_words(plane_size(a)); w++) {
    if ((a->kept[w] & ~b->kept[w]) != 0) {
      return false;
    }
  }
  return true;
}

// How many kept pixels come before a pixel.
static uint32_t rank_of(const struct row_set* set, size_t pixel) {
  const size_t word = pixel / ROW_SET_WORD_PIXELS;
  const uint64_t below = (UINT64_C(1) << pixel % ROW_SET_WORD_PIXELS) - 1;
  return set->kept_before[word] +
         (uint32_t)__builtin_popcountll(set->kept[word] & below);
}

uint32_t row_set_row(const struct row_set* set, size_t pixel) {
  if (set == NULL) {
    return (uint32_t)pixel;
  }
  if (!row_set_has(set, pixel)) {
    return ROW_NONE;
  }
  const uint32_t rank = rank_of(set, pixel);
  return set->row_of_kept == NULL
             ? rank
             : row_set_band(set, pixel / ROW_SET_BAND_PIXELS) +
                   set->row_of_kept[rank];
}

// Writes pixels whose bits, exclusive or `flip`, are set: `count` from the
// `start`th on. They are in order.
static void list_pixels(const struct row_set* set, uint64_t flip, size_t start,
                        size_t count, uint32_t* pixels) {
  // The last word that no more than `start` of them come before.
  size_t word = 0;
  for (size_t end = num_words(plane_size(set)); end - word > 1;) {
    const size_t middle = word + (end - word) / 2;
    const size_t before =
        flip == 0 ? set->kept_before[middle]
                  : middle * ROW_SET_WORD_PIXELS - set->kept_before[middle];
    *(before <= start ? &word : &end) = middle;
  }
  size_t to_skip =
      start - (flip == 0 ? set->kept_before[word]
                         : word * ROW_SET_WORD_PIXELS - set->kept_before[word]);
  for (uint32_t* end = pixels + count; pixels != end; word++) {
    uint64_t bits = set->kept[word] ^ flip;
    for (; to_skip != 0 && bits != 0; to_skip--) {
      bits &= bits - 1;
    }
    for (; bits != 0 && pixels != end; bits &= bits - 1) {
      *pixels++ = (uint32_t)(word * ROW_SET_WORD_PIXELS) +
                  (uint32_t)__builtin_ctzll(bits);
    }
  }
}

void row_set_pixels(const struct row_set* set, size_t start, size_t count,
                    uint32_t* pixels) {
  if (set != NULL && set->pixel_of_row == NULL) {
    list_pixels(set, /*flip=*/0, start, count, pixels);
    return;
  }
  size_t band = 0;
  for (size_t i = 0; i < count; i++) {
    const size_t row = start + i;
    if (set == NULL) {
      pixels[i] = (uint32_t)row;
      continue;
    }
    while (row >= row_set_band(set, band + 1)) {
      band++;
    }
    pixels[i] = (uint32_t)(band * ROW_SET_BAND_PIXELS) + set->pixel_of_row[row];
  }
}

void row_set_kept_pixels(const struct row_set* set, size_t start, size_t count,
                         uint32_t* pixels) {
  if (set != NULL) {
    list_pixels(set, /*flip=*/0, start, count, pixels);
  } else {
    row_set_pixels(NULL, start, count, pixels);
  }
}

void row_set_masked_pixels(const struct row_set* set, size_t start,
                           size_t count, uint32_t* pixels) {
  list_pixels(set, /*flip=*/UINT64_MAX, start, count, pixels);
}

bool row_set_order(struct row_set_pool* pool, const struct row_set* set,
                   const uint32_t* pixels) {
  struct row_set* own = pool->first;
  while (own != set) {
    own = own->next;
  }
  own->pixel_of_row = xnn_allocate_memory(own->count * sizeof(uint16_t));
  own->row_of_kept = xnn_allocate_memory(own->count * sizeof(uint16_t));
  if (own->pixel_of_row == NULL || own->row_of_kept == NULL) {
    return false;
  }
  for (size_t row = 0; row < own->count; row++) {
    const size_t band = pixels[row] / ROW_SET_BAND_PIXELS;
    own->pixel_of_row[row] = (uint16_t)(pixels[row] % ROW_SET_BAND_PIXELS);
    own->row_of_kept[rank_of(own, pixels[row])] =
        (uint16_t)(row - row_set_band(own, band));
  }
  return true;
}

size_t row_set_pool_bytes(const struct row_set_pool* pool) {
  size_t bytes = 0;
  for (const struct row_set* set = pool->first; set != NULL; set = set->next) {
    const size_t words = num_words(plane_size(set));
    bytes += sizeof(*set) + words * sizeof(uint64_t) +
             (words + 1) * sizeof(uint32_t);
    if (set->pixel_of_row != NULL) {
      bytes += 2 * set->count * sizeof(uint16_t);
    }
  }
  return bytes;
}

void row_set_pool_release(struct row_set_pool* pool) {
  struct row_set* set = pool->first;
  while (set != NULL) {
    struct row_set* next = set->next;
    release(set);
    set = next;
  }
  pool->first = NULL;
}
