#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"

#define LANES 16
#include "native/engine/zeros/nonzero-vector.h"

#define PLACES_AT_ONCE 8

#define NR 32
#define MAX_BLOCKS 4
#include "native/engine/zeros/nonzero-passes.inc"
#undef MAX_BLOCKS
#undef NR

#define NR 16
#define MAX_BLOCKS 8
#include "native/engine/zeros/nonzero-passes.inc"

const struct nonzero_kernels kNonzeroAvx512fx32 = {
    .nr = 32,
    .max_blocks = 4,
    .pass = {pass_32x1, pass_32x2, pass_32x3, pass_32x4},
    .clamp = clamp_sums,
};

const struct nonzero_kernels kNonzeroAvx512fx16 = {
    .nr = 16,
    .max_blocks = 8,
    .pass = {pass_16x1, pass_16x2, pass_16x3, pass_16x4, pass_16x5, pass_16x6,
             pass_16x7, pass_16x8},
    .clamp = clamp_sums,
};
