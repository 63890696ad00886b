// A set of pixels of an H x W plane, and the order in which a compact tensor
// [N, 1, K, C] stores their rows.
//
// Sets are interned in a pool: two sets are equal if their pointers are. NULL
// stands for "every pixel", that is, for a dense tensor.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_SET_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_SET_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROW_NONE UINT32_MAX

struct row_set {
  uint32_t height;
  uint32_t width;
  // K, the number of kept pixels; never 0 nor H x W.
  uint32_t count;
  // [H x W] pixel indices (y x W + x): first the K kept ones in the order of
  // their rows, then the masked ones.
  uint32_t* pixel;
  // [H x W] the row of each pixel, ROW_NONE where masked.
  uint32_t* row;
  // Whether row_set_sort has ordered the rows.
  bool is_sorted;
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

// Orders the rows by the keys [H x W] of their pixels, equal keys in raster
// order, unless the set was sorted before. No tensor may be stored by the set
// yet. Returns false when out of memory.
bool row_set_sort(struct row_set_pool* pool, const struct row_set* set,
                  const uint64_t* keys);

size_t row_set_pool_bytes(const struct row_set_pool* pool);

void row_set_pool_release(struct row_set_pool* pool);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_SET_H_
