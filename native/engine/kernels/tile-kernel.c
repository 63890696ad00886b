#include "native/engine/kernels/tile-kernel.h"

#include <stddef.h>
#include <stdint.h>

#include "native/engine/kernels/instruction-set.h"

const struct tile_kernel* tile_kernel_find(const struct tile_kernel* kernels,
                                           struct tile_format format) {
  for (; kernels->run != NULL; kernels++) {
    const struct tile_format* own = &kernels->format;
    if (own->type == format.type && own->mr == format.mr &&
        own->nr == format.nr && own->kr == format.kr && own->sr == format.sr &&
        instruction_set_is_present(kernels->instruction_set)) {
      return kernels;
    }
  }
  return NULL;
}

static size_t divide_up(size_t n, size_t d) { return (n + d - 1) / d; }

double tile_kernel_share(const struct tile_kernel* kernel, uint64_t live_taps,
                         size_t num_taps, size_t row_bytes) {
  if (kernel->step_bytes == 0) {
    return (double)__builtin_popcountll(live_taps) / (double)num_taps;
  }
  // As the kernel goes: a step begins at the first live byte that is left.
  const size_t tap_bytes =
      divide_up(row_bytes, kernel->format.kr) * kernel->format.kr;
  size_t steps = 0;
  size_t done = 0;
  for (; live_taps != 0; live_taps &= live_taps - 1) {
    const size_t tap = (size_t)__builtin_ctzll(live_taps);
    const size_t start = tap * tap_bytes;
    const size_t end = start + tap_bytes;
    if (end > done) {
      const size_t first = start > done ? start : done;
      const size_t own = divide_up(end - first, kernel->step_bytes);
      steps += own;
      done = first + own * kernel->step_bytes;
    }
  }
  return (double)steps /
         (double)(num_taps * divide_up(tap_bytes, kernel->step_bytes));
}
