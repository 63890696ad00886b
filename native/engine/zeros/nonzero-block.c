#include "native/engine/zeros/nonzero-block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-lists.h"
#include "xnnpack/math.h"

enum { kAlignment = 64, kLineFloats = 16 };

// Lists of so few channels that finding their ends costs more than they save.
static const size_t kFewestListChannels = 32;

// Fewer rows share no weights.
static const size_t kFewestRows = 4;

static size_t align(size_t bytes) { return round_up_po2(bytes, kAlignment); }

static const uint16_t* counts_of(const uint8_t* lists) {
  return (const uint16_t*)lists;
}

void nonzero_gemm_lay_out(struct nonzero_gemm* gemm, size_t num_rows,
                          size_t cache_bytes) {
  const struct nonzero_kernels* kernels = gemm->kernels;
  const size_t blocks =
      min(divide_round_up(gemm->num_outputs, kernels->nr), kernels->max_blocks);
  // A third of the cache is for sums and lists on their way.
  const size_t in_cache =
      cache_bytes * 2 / 3 / (blocks * kernels->nr * sizeof(float));
  gemm->list_channels =
      // Weights that are read once or so gain nothing from a cache.
      num_rows < kFewestRows
          ? NONZERO_LIST_MAX_CHANNELS
          : max(kFewestListChannels,
                min(in_cache / 32 * 32, NONZERO_LIST_MAX_CHANNELS));
  gemm->num_lists = divide_round_up(gemm->num_channels, gemm->list_channels);
  gemm->counts_bytes =
      round_up_po2((gemm->num_lists + 1) * sizeof(uint16_t), 8);
  gemm->lists_bytes = gemm->counts_bytes + round_up_po2(gemm->num_channels, 8);
  const size_t tap_bytes = gemm->num_channels * kernels->nr * sizeof(float);
  const size_t num_parts = min(
      divide_round_up(gemm->num_taps * tap_bytes, cache_bytes), gemm->num_taps);
  gemm->taps_at_once = divide_round_up(gemm->num_taps, num_parts);
}

void nonzero_lists_make(const struct nonzero_gemm* gemm, const float* channels,
                        uint8_t* lists) {
  uint16_t* counts = (uint16_t*)lists;
  uint8_t* places = lists + gemm->counts_bytes;
  size_t total = 0;
  for (size_t c = 0; c < gemm->num_channels; c += gemm->list_channels) {
    const size_t count = gemm->list(
        channels + c, min(gemm->list_channels, gemm->num_channels - c),
        places + c);
    *counts++ = (uint16_t)count;
    total += count;
  }
  *counts = (uint16_t)total;
}

// Walks through the input rows under one tap.
struct tap_walk {
  const struct nonzero_input* input;
  const void* const* pointer;
  // What leads from the last row of a tile to the first of the next.
  size_t skip;
  size_t row_in_tile;
  const void* row;
};

static struct tap_walk walk_under_tap(const struct nonzero_gemm* gemm,
                                      const struct nonzero_input* input,
                                      size_t row_start, size_t tap) {
  struct tap_walk walk = {.input = input};
  if (input->pointers == NULL) {
    walk.row =
        (const void*)((uintptr_t)input->rows + row_start * input->row_bytes);
    return walk;
  }
  const size_t mr = input->tile_rows;
  walk.row_in_tile = row_start % mr;
  walk.pointer = input->pointers +
                 (row_start / mr * gemm->num_taps + tap) * mr +
                 walk.row_in_tile;
  walk.skip = (gemm->num_taps - 1) * mr;
  return walk;
}

// The next row; NULL where there is nothing but zeros.
static const float* next_row(struct tap_walk* walk) {
  if (walk->pointer == NULL) {
    const void* row = walk->row;
    walk->row = (const void*)((uintptr_t)row + walk->input->row_bytes);
    return row;
  }
  const void* row = *walk->pointer++;
  if (++walk->row_in_tile == walk->input->tile_rows) {
    walk->row_in_tile = 0;
    walk->pointer += walk->skip;
  }
  return row == walk->input->zero
             ? NULL
             : (const void*)((uintptr_t)row + walk->input->offset);
}

// What lies in the scratch memory of a block of rows.
struct scratch {
  // Lists of the rows, of products of one tap.
  uint8_t* lists;
  struct nonzero_visit* visits;
  // Places of each sum, if there are several.
  uint8_t* places;
  float* sums;
};

static size_t own_lists_bytes(const struct nonzero_gemm* gemm,
                              size_t num_rows) {
  return gemm->num_taps == 1 ? align(num_rows * gemm->lists_bytes) : 0;
}

// Several sums of a row are rows of sums.
static size_t sums_rows(const struct nonzero_gemm* gemm, size_t num_rows) {
  return max(num_rows, gemm->num_sums);
}

static size_t visits_bytes(const struct nonzero_gemm* gemm, size_t num_rows) {
  return align(sums_rows(gemm, num_rows) * sizeof(struct nonzero_visit));
}

static size_t places_bytes(const struct nonzero_gemm* gemm) {
  return gemm->num_sums > 1 ? gemm->num_sums * NONZERO_LIST_MAX_CHANNELS : 0;
}

static struct scratch lay_out(const struct nonzero_gemm* gemm, size_t num_rows,
                              void* memory) {
  uint8_t* bytes = memory;
  struct scratch scratch;
  scratch.lists = bytes;
  bytes += own_lists_bytes(gemm, num_rows);
  scratch.visits = (struct nonzero_visit*)bytes;
  bytes += visits_bytes(gemm, num_rows);
  scratch.places = bytes;
  scratch.sums = (float*)(bytes + places_bytes(gemm));
  return scratch;
}

size_t nonzero_block_scratch_bytes(const struct nonzero_gemm* gemm,
                                   size_t num_rows, size_t num_outputs) {
  return own_lists_bytes(gemm, num_rows) + visits_bytes(gemm, num_rows) +
         places_bytes(gemm) +
         align(sums_rows(gemm, num_rows) *
               round_up(num_outputs, gemm->kernels->nr) * sizeof(float));
}

// Numbers of rows from their addresses, without a division.
struct row_numbers {
  uintptr_t first;
  uint64_t reciprocal;
};

static struct row_numbers number_rows(const struct nonzero_input* input) {
  return (struct row_numbers){
      .first = (uintptr_t)input->rows,
      .reciprocal = UINT64_MAX / input->row_bytes + 1,
  };
}

// Exact, as rows lie whole row_bytes apart.
static size_t row_number(const struct row_numbers* numbers, const void* row) {
  const uint64_t distance = (uintptr_t)row - numbers->first;
  return (size_t)(((unsigned __int128)distance * numbers->reciprocal) >> 64);
}

static struct nonzero_block_work list_rows(const struct nonzero_gemm* gemm,
                                           const struct nonzero_input* input,
                                           size_t row_start, size_t num_rows,
                                           uint8_t* lists) {
  struct tap_walk walk = walk_under_tap(gemm, input, row_start, /*tap=*/0);
  size_t num_rows_read = 0;
  size_t num_nonzeros = 0;
  for (size_t r = 0; r < num_rows; r++, lists += gemm->lists_bytes) {
    const float* row = next_row(&walk);
    if (row != NULL) {
      nonzero_lists_make(gemm, row, lists);
      num_rows_read++;
      num_nonzeros += counts_of(lists)[gemm->num_lists];
    }
  }
  return (struct nonzero_block_work){num_rows_read * gemm->num_lists,
                                     num_nonzeros};
}

// A quarter of the rows, those in the middle, stand for all.
static struct nonzero_block_work count_windows(
    const struct nonzero_gemm* gemm, const struct nonzero_input* input,
    size_t row_start, size_t num_rows) {
  const struct row_numbers numbers = number_rows(input);
  const size_t num_counted = divide_round_up(num_rows, 4);
  const size_t first = row_start + (num_rows - num_counted) / 2;
  size_t num_rows_read = 0;
  size_t num_nonzeros = 0;
  for (size_t tap = 0; tap < gemm->num_taps; tap++) {
    struct tap_walk walk = walk_under_tap(gemm, input, first, tap);
    for (size_t r = 0; r < num_counted; r++) {
      const float* row = next_row(&walk);
      if (row != NULL) {
        const uint8_t* lists =
            input->lists + row_number(&numbers, row) * input->lists_stride;
        num_rows_read++;
        num_nonzeros += counts_of(lists)[gemm->num_lists];
      }
    }
  }
  return (struct nonzero_block_work){
      num_rows_read * gemm->num_lists * num_rows / num_counted,
      num_nonzeros * num_rows / num_counted};
}

struct nonzero_block_work nonzero_block_look(const struct nonzero_gemm* gemm,
                                             const struct nonzero_input* input,
                                             size_t row_start, size_t num_rows,
                                             void* memory) {
  return gemm->num_taps == 1 ? list_rows(gemm, input, row_start, num_rows,
                                         lay_out(gemm, num_rows, memory).lists)
                             : count_windows(gemm, input, row_start, num_rows);
}

// Lists what there is to add for one tap and block of channels. The first pass
// visits every row: it is what writes the sums.
static size_t find_visits(const struct nonzero_gemm* gemm,
                          const struct nonzero_input* input,
                          const struct row_numbers* numbers,
                          const struct scratch* scratch, size_t row_start,
                          size_t num_rows, size_t tap, size_t list,
                          bool is_first) {
  struct tap_walk walk = walk_under_tap(gemm, input, row_start, tap);
  const bool has_own_lists = gemm->num_taps == 1;
  const size_t lists_bytes =
      has_own_lists ? gemm->lists_bytes : input->lists_stride;
  const uint8_t* first_lists = has_own_lists ? scratch->lists : input->lists;
  const size_t channel = list * gemm->list_channels;
  const size_t places = gemm->counts_bytes + channel;
  struct nonzero_visit* visit = scratch->visits;
  for (size_t r = 0; r < num_rows; r++) {
    const float* row = next_row(&walk);
    visit->row = (uint32_t)r;
    visit->count = 0;
    visit->places = first_lists;
    if (row != NULL) {
      const size_t listed_row = has_own_lists ? r : row_number(numbers, row);
      const uint8_t* lists = first_lists + listed_row * lists_bytes;
      visit->count = counts_of(lists)[list];
      visit->places = lists + places;
      visit->values = row + channel;
    }
    visit += visit->count != 0 || is_first;
  }
  return (size_t)(visit - scratch->visits);
}

// Makes of what there is to add to a row what there is to add to its sums.
static size_t split_visit(const struct nonzero_gemm* gemm,
                          const struct scratch* scratch) {
  const struct nonzero_visit all = scratch->visits[0];
  struct nonzero_visit of_sum[NONZERO_MAX_SUMS];
  uint8_t* end[NONZERO_MAX_SUMS];
  for (size_t s = 0; s < gemm->num_sums; s++) {
    end[s] = scratch->places + s * NONZERO_LIST_MAX_CHANNELS;
    of_sum[s] = (struct nonzero_visit){
        .values = all.values, .places = end[s], .row = (uint32_t)s};
  }
  // Blocks of channels begin with a multiple of the number of sums.
  for (size_t i = 0; i < all.count; i++) {
    *end[all.places[i] % gemm->num_sums]++ = all.places[i];
  }
  struct nonzero_visit* visit = scratch->visits;
  for (size_t s = 0; s < gemm->num_sums; s++) {
    *visit = of_sum[s];
    visit->count = (uint32_t)(end[s] - of_sum[s].places);
    visit += visit->count != 0;
  }
  return (size_t)(visit - scratch->visits);
}

static void start_sums(const struct nonzero_gemm* gemm, const float* weights,
                       size_t weight_stride, size_t num_blocks, float* sums) {
  const size_t nr = gemm->kernels->nr;
  memset(sums, 0, gemm->num_sums * num_blocks * nr * sizeof(float));
  for (size_t b = 0; b < num_blocks; b++) {
    memcpy(sums + b * nr, weights + b * weight_stride, nr * sizeof(float));
  }
}

static void add_sums(const struct nonzero_gemm* gemm, size_t count,
                     float* sums) {
  for (size_t half = gemm->num_sums / 2; half != 0; half /= 2) {
    for (size_t i = 0; i < half * count; i++) {
      sums[i] += sums[half * count + i];
    }
  }
}

void nonzero_block_run(const struct nonzero_gemm* gemm,
                       const struct nonzero_input* input,
                       const struct nonzero_output* output, size_t row_start,
                       size_t num_rows, size_t output_start, size_t num_outputs,
                       void* memory) {
  const struct scratch scratch = lay_out(gemm, num_rows, memory);
  const struct row_numbers numbers = number_rows(input);
  const struct nonzero_kernels* kernels = gemm->kernels;
  const size_t nr = kernels->nr;
  const size_t weight_stride = nr * (1 + gemm->num_taps * gemm->num_channels);
  const size_t num_blocks = divide_round_up(num_outputs, nr);
  const size_t num_passes = divide_round_up(num_blocks, kernels->max_blocks);
  const size_t sums_row = num_blocks * nr;
  const float* weights = gemm->weights + output_start / nr * weight_stride;

  const size_t lines = gemm->list_channels / kLineFloats;
  const bool has_several_sums = gemm->num_sums > 1;
  if (has_several_sums) {
    start_sums(gemm, weights, weight_stride, num_blocks, scratch.sums);
  }
  bool is_first = !has_several_sums;
  for (size_t tap = 0; tap < gemm->num_taps; tap++) {
    for (size_t list = 0; list < gemm->num_lists; list++) {
      size_t num_visits = find_visits(gemm, input, &numbers, &scratch,
                                      row_start, num_rows, tap, list, is_first);
      if (has_several_sums && num_visits != 0) {
        num_visits = split_visit(gemm, &scratch);
      }
      const size_t channel =
          tap * gemm->num_channels + list * gemm->list_channels;
      for (size_t p = 0; p < num_passes; p++) {
        // As equal as can be: 5 blocks are 3 and 2, not 4 and 1.
        const size_t begin = p * num_blocks / num_passes;
        const size_t end = (p + 1) * num_blocks / num_passes;
        const float* block_weights = weights + begin * weight_stride;
        float* sums = scratch.sums + begin * nr;
        const struct nonzero_pass pass = {
            .visits = scratch.visits,
            .num_visits = num_visits,
            .weights = block_weights + nr + channel * nr,
            .weight_stride = weight_stride,
            .from = is_first ? block_weights : sums,
            .from_row = is_first ? 0 : sums_row,
            .from_stride = is_first ? weight_stride : nr,
            .sums = sums,
            .sums_row = sums_row,
            .fetch_ahead = num_rows * input->row_bytes / sizeof(float),
            .fetch_lines = input->pointers == NULL && p == 0 ? lines : 0,
        };
        kernels->pass[end - begin - 1](&pass);
      }
      is_first = false;
    }
  }
  add_sums(gemm, sums_row, scratch.sums);
  nonzero_write(gemm, scratch.sums, sums_row, output, row_start, num_rows,
                output_start, num_outputs);
}

void nonzero_write(const struct nonzero_gemm* gemm, const float* sums,
                   size_t sums_row, const struct nonzero_output* output,
                   size_t row_start, size_t num_rows, size_t output_start,
                   size_t num_outputs) {
  const bool is_placed = output->places != NULL;
  gemm->kernels->clamp(&(struct nonzero_clamping){
      .sums = sums,
      .sums_row = sums_row,
      .num_rows = num_rows,
      .count = num_outputs,
      .min = gemm->min,
      .max = gemm->max,
      .output = (float*)((uintptr_t)output->rows +
                         (is_placed ? 0 : row_start * output->row_bytes)) +
                output_start,
      .row_bytes = output->row_bytes,
      .places = output->places,
  });
}
