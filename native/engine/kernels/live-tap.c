#include "native/engine/kernels/live-tap.h"

#include "native/engine/kernels/instruction-set.h"
#include "native/engine/kernels/tile-kernel.h"
#include "xnnpack/common.h"

const struct tile_kernel live_tap_kernels[] = {
#if XNN_ARCH_X86_64
    {{tile_float32, 7, 32, 1, 1},
     instruction_set_avx512f,
     live_tap_7x32_avx512f},
    {{tile_float32, 7, 16, 1, 1},
     instruction_set_avx512f,
     live_tap_7x16_avx512f},
    {{tile_float32, 5, 16, 1, 1}, instruction_set_fma3, live_tap_5x16_fma3},
#elif XNN_ARCH_ARM64
    {{tile_float32, 6, 8, 1, 1}, instruction_set_neon, live_tap_6x8_neon},
    {{tile_float32, 4, 8, 1, 1}, instruction_set_neon, live_tap_4x8_neon},
#endif
    {.run = 0},
};
