// A set of pixels of an H x W plane, and the order in which a compact tensor
// [N, 1, K, C] stores their rows.
//
// Sets are interned in a pool: two sets are equal if their pointers are. NULL
// stands for "every pixel", that is, for a dense tensor.
//
// A set takes one and a half bits for each pixel. Rows in an order of their own
// take 32 bits more for each row: places have 16 bits, because such an order
// stays within bands of 2^16 pixels.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_SET_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_SET_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROW_NONE UINT32_MAX

// Pixels (y x W + x) of a word, and of a band.
#define ROW_SET_WORD_PIXELS 64
#define ROW_SET_BAND_PIXELS (1 << 16)

struct row_set {
  uint32_t height;
  uint32_t width;
  // K, the number of kept pixels; never 0 nor H x W.
  uint32_t count;
  // [words] a bit for each pixel: whether it is kept.
  uint64_t* kept;
  // [words + 1] the kept pixels before each word.
  uint32_t* kept_before;
  // NULL for rows in raster order. Else [count] each, counted from the first of
  // their band: the pixel of each row, and the row of each kept pixel.
  uint16_t* pixel_of_row;
  uint16_t* row_of_kept;
  struct row_set* next;
};

struct row_set_pool {
  struct row_set* first;
};

// Interns the set of the pixels whose byte in kept[H x W] is not 0, in raster
// order. *set is NULL if all are kept. Returns false when out of memory.
bool row_set_intern(struct row_set_pool* pool, const uint8_t* kept,
                    uint32_t height, uint32_t width,
                    const struct row_set** set);

// *set = a AND b; a set that would be empty becomes b, since a tensor has at
// least one row. Both have the same plane. Returns false when out of memory.
bool row_set_intersect(struct row_set_pool* pool, const struct row_set* a,
                       const struct row_set* b, const struct row_set** set);

// *set = a OR b.
bool row_set_unite(struct row_set_pool* pool, const struct row_set* a,
                   const struct row_set* b, const struct row_set** set);

// Whether every pixel of a is in b.
bool row_set_is_subset(const struct row_set* a, const struct row_set* b);

// Whether a pixel is in the set, which may be NULL.
static inline bool row_set_has(const struct row_set* set, size_t pixel) {
  return set == NULL || (set->kept[pixel / ROW_SET_WORD_PIXELS] >>
                             pixel % ROW_SET_WORD_PIXELS &
                         1) != 0;
}

// The row of a pixel, ROW_NONE if it is not in the set. NULL is allowed.
uint32_t row_set_row(const struct row_set* set, size_t pixel);

// Writes the pixels of rows [start, start + count). NULL is allowed.
void row_set_pixels(const struct row_set* set, size_t start, size_t count,
                    uint32_t* pixels);

// The same in raster order, whatever the order of the rows.
void row_set_kept_pixels(const struct row_set* set, size_t start, size_t count,
                         uint32_t* pixels);

// The same of the masked pixels, in raster order.
void row_set_masked_pixels(const struct row_set* set, size_t start,
                           size_t count, uint32_t* pixels);

// The rows of a band of 2^16 pixels begin with this one.
static inline uint32_t row_set_band(const struct row_set* set, size_t band) {
  const size_t words_per_band = ROW_SET_BAND_PIXELS / ROW_SET_WORD_PIXELS;
  const size_t words =
      ((size_t)set->height * set->width + ROW_SET_WORD_PIXELS - 1) /
      ROW_SET_WORD_PIXELS;
  const size_t word = band * words_per_band;
  return set->kept_before[word < words ? word : words];
}

// Has the rows stand in the order of pixels[count], which are those of the set,
// band by band. No tensor may be stored by the set yet. Returns false when out
// of memory.
bool row_set_order(struct row_set_pool* pool, const struct row_set* set,
                   const uint32_t* pixels);

size_t row_set_pool_bytes(const struct row_set_pool* pool);

void row_set_pool_release(struct row_set_pool* pool);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_SET_H_
