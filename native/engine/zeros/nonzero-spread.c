#include "native/engine/zeros/nonzero-spread.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-gemm.h"
#include "xnnpack/allocator.h"
#include "xnnpack/math.h"

// Of sources that may have the same readers.
static const size_t kMostSourcesBack = 8;

// --- who reads what --------------------------------------------------------

// The taps that read each pixel of a range, one pixel after the other: first
// the taps that pass first, then the next ones. A visit is one pixel of one
// pass.
struct taps_of_pixels {
  size_t first_pixel;
  size_t num_pixels;
  size_t num_visits;
  // [num_visits + 2]
  uint32_t* begin;
  // [row][tap], as one number.
  uint32_t* taps;
};

static size_t visit_of(const struct nonzero_gemm* gemm, size_t tap,
                       size_t pixel, const struct taps_of_pixels* sorted) {
  return tap % gemm->num_taps / gemm->taps_at_once * sorted->num_pixels +
         pixel - sorted->first_pixel;
}

static bool sort_by_pixel(const struct nonzero_gemm* gemm,
                          const uint32_t* pixel_under_tap, size_t num_taps,
                          struct taps_of_pixels* sorted) {
  size_t first = SIZE_MAX;
  size_t end = 0;
  for (size_t t = 0; t < num_taps; t++) {
    if (pixel_under_tap[t] != NONZERO_NO_PIXEL) {
      first = min(first, pixel_under_tap[t]);
      end = max(end, (size_t)pixel_under_tap[t] + 1);
    }
  }
  sorted->first_pixel = first;
  sorted->num_pixels = doz(end, first);
  sorted->num_visits =
      divide_round_up(gemm->num_taps, gemm->taps_at_once) * sorted->num_pixels;
  sorted->begin =
      xnn_allocate_zero_memory((sorted->num_visits + 2) * sizeof(uint32_t));
  sorted->taps = xnn_allocate_memory(num_taps * sizeof(uint32_t));
  if (sorted->begin == NULL || sorted->taps == NULL) {
    return false;
  }
  // First counts, two places on; then where each begins, one place on; then, as
  // each has moved to its end, where each begins.
  uint32_t* next = sorted->begin + 1;
  for (size_t t = 0; t < num_taps; t++) {
    if (pixel_under_tap[t] != NONZERO_NO_PIXEL) {
      next[visit_of(gemm, t, pixel_under_tap[t], sorted) + 1]++;
    }
  }
  for (size_t v = 0; v < sorted->num_visits; v++) {
    next[v + 1] += next[v];
  }
  for (size_t t = 0; t < num_taps; t++) {
    if (pixel_under_tap[t] != NONZERO_NO_PIXEL) {
      sorted->taps[next[visit_of(gemm, t, pixel_under_tap[t], sorted)]++] =
          (uint32_t)t;
    }
  }
  return true;
}

// Neighbouring pixels have the same readers, with a stride every other pixel,
// and if they are visited in parts every other part: these are stored once.
static void share_readers(struct nonzero_readers* found) {
  struct nonzero_source* last = &found->sources[found->num_sources - 1];
  const size_t most = min(found->num_sources - 1, kMostSourcesBack);
  for (size_t back = 1; back <= most; back++) {
    const struct nonzero_source* earlier = last - back;
    if (memcmp(found->readers + earlier->first_reader,
               found->readers + last->first_reader,
               last->count * sizeof(struct nonzero_reader)) == 0) {
      found->num_readers -= last->count;
      last->first_reader = earlier->first_reader;
      return;
    }
  }
}

// Appends a source with `count` readers.
static void add_source(size_t num_taps, uint32_t stored_row,
                       const uint32_t* taps, size_t count,
                       struct nonzero_readers* found) {
  const size_t base = taps[0] / num_taps;
  found->sources[found->num_sources++] = (struct nonzero_source){
      .row = stored_row,
      .first_reader = (uint16_t)found->num_readers,
      .sums_row = (uint16_t)base,
      .count = (uint8_t)count,
  };
  for (size_t i = 0; i < count; i++) {
    // Taps ascend, and with them rows.
    const size_t row = taps[i] / num_taps - base;
    found->readers[found->num_readers++] = (struct nonzero_reader){
        .row = (uint16_t)row,
        .tap = (uint8_t)(taps[i] % num_taps),
    };
  }
  share_readers(found);
}

// Room for as many sources and readers as there may be.
static bool make_room(const struct taps_of_pixels* sorted, size_t max_readers,
                      struct nonzero_readers* found) {
  size_t num_sources = 0;
  for (size_t v = 0; v < sorted->num_visits; v++) {
    num_sources +=
        divide_round_up(sorted->begin[v + 1] - sorted->begin[v], max_readers);
  }
  found->num_live_taps = sorted->begin[sorted->num_visits];
  found->sources =
      xnn_allocate_memory((num_sources + 1) * sizeof(*found->sources));
  found->readers =
      xnn_allocate_memory((found->num_live_taps + 1) * sizeof(*found->readers));
  return found->sources != NULL && found->readers != NULL;
}

bool nonzero_readers_find(const struct nonzero_gemm* gemm,
                          const uint32_t* pixel_under_tap, size_t num_rows,
                          const uint32_t* row_of_pixel,
                          struct nonzero_readers* found) {
  const size_t most = gemm->kernels->max_readers;
  struct taps_of_pixels sorted = {0};
  *found = (struct nonzero_readers){.num_rows = num_rows};
  const bool has_room = sort_by_pixel(gemm, pixel_under_tap,
                                      num_rows * gemm->num_taps, &sorted) &&
                        make_room(&sorted, most, found);
  for (size_t v = 0; has_room && v < sorted.num_visits; v++) {
    const size_t pixel = sorted.first_pixel + v % sorted.num_pixels;
    const uint32_t row =
        row_of_pixel == NULL ? (uint32_t)pixel : row_of_pixel[pixel];
    const uint32_t* taps = sorted.taps + sorted.begin[v];
    const size_t count = sorted.begin[v + 1] - sorted.begin[v];
    const size_t num_parts = divide_round_up(count, most);
    for (size_t i = 0; i < num_parts; i++) {
      const size_t begin = i * count / num_parts;
      const size_t end = (i + 1) * count / num_parts;
      add_source(gemm->num_taps, row, taps + begin, end - begin, found);
    }
  }
  xnn_release_memory(sorted.begin);
  xnn_release_memory(sorted.taps);
  if (!has_room) {
    nonzero_readers_release(found);
    return false;
  }
  // Most readers are shared.
  void* fewer = xnn_reallocate_memory(
      found->readers, (found->num_readers + 1) * sizeof(*found->readers));
  found->readers = fewer != NULL ? fewer : found->readers;
  return true;
}

size_t nonzero_readers_bytes(const struct nonzero_readers* readers) {
  return readers->num_sources * sizeof(*readers->sources) +
         readers->num_readers * sizeof(*readers->readers);
}

void nonzero_readers_release(struct nonzero_readers* readers) {
  xnn_release_memory(readers->sources);
  xnn_release_memory(readers->readers);
  *readers = (struct nonzero_readers){0};
}

// --- running ---------------------------------------------------------------

size_t nonzero_spread_scratch_bytes(const struct nonzero_gemm* gemm,
                                    size_t num_rows) {
  return num_rows * gemm->kernels->nr * sizeof(float);
}

void nonzero_spread_run(const struct nonzero_gemm* gemm,
                        const struct nonzero_readers* readers,
                        const struct nonzero_input* input,
                        const struct nonzero_output* output, size_t row_start,
                        size_t output_start, size_t num_outputs,
                        void* scratch) {
  const size_t nr = gemm->kernels->nr;
  const size_t output_end = output_start + num_outputs;
  for (size_t n = output_start; n < output_end; n += nr) {
    const float* weights =
        gemm->weights + n * (1 + gemm->num_taps * gemm->num_channels);
    gemm->kernels->spread(&(struct nonzero_spread){
        .num_rows = readers->num_rows,
        .sources = readers->sources,
        .num_sources = readers->num_sources,
        .readers = readers->readers,
        .rows = input->rows,
        .row_bytes = input->row_bytes,
        .num_channels = gemm->num_channels,
        .bias = weights,
        .weights = weights + nr,
        .tap_stride = gemm->num_channels * nr,
        .sums = scratch,
    });
    nonzero_write(gemm, scratch, nr, output, row_start, readers->num_rows, n,
                  min(nr, output_end - n));
  }
}
