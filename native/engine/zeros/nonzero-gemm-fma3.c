#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-set-avx.h"

#define LANES 8
#include "native/engine/zeros/nonzero-vector.h"

#define PLACES_AT_ONCE 4
#define MAX_READERS 5

#define NR 16
#define MAX_BLOCKS 4
#include "native/engine/zeros/nonzero-passes.inc"
#define SPREAD spread_16
#include "native/engine/zeros/nonzero-spread.inc"

const struct nonzero_kernels kNonzeroFma3x16 = {
    .nr = 16,
    .max_blocks = 4,
    .pass = {pass_16x1, pass_16x2, pass_16x3, pass_16x4},
    .max_readers = MAX_READERS,
    .spread = spread_16,
    .clamp = clamp_sums,
};
