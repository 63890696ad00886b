#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-lists.h"
#include "native/engine/zeros/nonzero-set-avx512f.h"

size_t nonzero_list_avx512vbmi2(const float* values, size_t num_channels,
                                uint8_t* places) {
  static const uint8_t kCount[64] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
      32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
      48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  __m512i all = _mm512_loadu_si512(kCount);
  size_t count = 0;
  for (size_t c = 0; c < num_channels; c += 64) {
    const uint64_t nonzero =
        nonzero_set(values + c, num_channels - c < 64 ? num_channels - c : 64);
    const uint64_t num_nonzero = (uint64_t)_mm_popcnt_u64(nonzero);
    // No more bytes than the list has: what follows may be another's.
    _mm512_mask_storeu_epi8(places + count,
                            _bzhi_u64(UINT64_MAX, (uint32_t)num_nonzero),
                            _mm512_maskz_compress_epi8(nonzero, all));
    count += num_nonzero;
    all = _mm512_add_epi8(all, _mm512_set1_epi8(64));
  }
  return count;
}
