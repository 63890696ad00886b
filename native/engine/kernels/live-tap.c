#include "native/engine/kernels/live-tap.h"

#include "native/engine/kernels/instruction-set.h"
#include "native/engine/kernels/tile-kernel.h"
#include "xnnpack/common.h"

// aarch64 has none yet: nobody has measured them on a board.
const struct tile_kernel live_tap_kernels[] = {
#if XNN_ARCH_X86_64
    {{tile_float32, 7, 32, 1, 1},
     instruction_set_avx512f,
     live_tap_7x32_avx512f},
    {{tile_float32, 7, 16, 1, 1},
     instruction_set_avx512f,
     live_tap_7x16_avx512f},
    {{tile_float32, 5, 16, 1, 1}, instruction_set_fma3, live_tap_5x16_fma3},
#endif
    {.run = 0},
};
