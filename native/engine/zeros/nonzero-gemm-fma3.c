#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "native/engine/zeros/nonzero-gemm.h"

#define LANES 8
#include "native/engine/zeros/nonzero-vector.h"

#define PLACES_AT_ONCE 4

#define NR 16
#define MAX_BLOCKS 4
#include "native/engine/zeros/nonzero-passes.inc"

const struct nonzero_kernels kNonzeroFma3x16 = {
    .nr = 16,
    .max_blocks = 4,
    .pass = {pass_16x1, pass_16x2, pass_16x3, pass_16x4},
    .clamp = clamp_sums,
};
