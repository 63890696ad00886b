#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-set-avx512f.h"

#define LANES 16
#include "native/engine/zeros/nonzero-vector.h"

#define PLACES_AT_ONCE 8
#define MAX_READERS 9

#define NR 32
#define MAX_BLOCKS 4
#include "native/engine/zeros/nonzero-passes.inc"
#define SPREAD spread_32
#include "native/engine/zeros/nonzero-spread.inc"
#undef SPREAD
#undef MAX_BLOCKS
#undef NR

#define NR 16
#define MAX_BLOCKS 8
#include "native/engine/zeros/nonzero-passes.inc"
#define SPREAD spread_16
#include "native/engine/zeros/nonzero-spread.inc"

const struct nonzero_kernels kNonzeroAvx512fx32 = {
    .nr = 32,
    .max_blocks = 4,
    .pass = {pass_32x1, pass_32x2, pass_32x3, pass_32x4},
    .max_readers = MAX_READERS,
    .spread = spread_32,
    .clamp = clamp_sums,
};

const struct nonzero_kernels kNonzeroAvx512fx16 = {
    .nr = 16,
    .is_narrow = true,
    .max_blocks = 8,
    .pass = {pass_16x1, pass_16x2, pass_16x3, pass_16x4, pass_16x5, pass_16x6,
             pass_16x7, pass_16x8},
    .max_readers = MAX_READERS,
    .spread = spread_16,
    .clamp = clamp_sums,
};
