#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-set-neon.h"

#define LANES 4
#include "native/engine/zeros/nonzero-vector.h"

#define PLACES_AT_ONCE 4
#define MAX_READERS 9

#define NR 8
#define MAX_BLOCKS 8
#include "native/engine/zeros/nonzero-passes.inc"
#define SPREAD spread_8
#include "native/engine/zeros/nonzero-spread.inc"

const struct nonzero_kernels kNonzeroNeonx8 = {
    .nr = 8,
    .max_blocks = 8,
    .pass = {pass_8x1, pass_8x2, pass_8x3, pass_8x4, pass_8x5, pass_8x6,
             pass_8x7, pass_8x8},
    .max_readers = MAX_READERS,
    .spread = spread_8,
    .clamp = clamp_sums,
};
