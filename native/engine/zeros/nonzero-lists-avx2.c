#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "native/engine/zeros/nonzero-lists.h"
#include "native/engine/zeros/nonzero-places.h"

size_t nonzero_list_avx2(const float* values, size_t num_channels,
                         uint8_t* places) {
  size_t count = 0;
  size_t c = 0;
  for (; c + 8 <= num_channels; c += 8) {
    const __m256 nonzero = _mm256_cmp_ps(_mm256_loadu_ps(values + c),
                                         _mm256_setzero_ps(), _CMP_NEQ_UQ);
    count = append_nonzero8((uint32_t)_mm256_movemask_ps(nonzero), c, places,
                            count);
  }
  return c == num_channels
             ? count
             : append_nonzero8(nonzero_of_few(values + c, num_channels - c), c,
                               places, count);
}
