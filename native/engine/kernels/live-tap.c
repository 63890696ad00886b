#include "native/engine/kernels/live-tap.h"

#include "native/engine/kernels/instruction-set.h"
#include "native/engine/kernels/tile-kernel.h"
#include "xnnpack/common.h"

const struct tile_kernel live_tap_kernels[] = {
#if XNN_ARCH_X86_64
    {.format = {tile_float32, 7, 32, 1, 1},
     .instruction_set = instruction_set_avx512f,
     .run = live_tap_7x32_avx512f},
    {.format = {tile_float32, 7, 16, 1, 1},
     .instruction_set = instruction_set_avx512f,
     .run = live_tap_7x16_avx512f},
    {.format = {tile_float32, 5, 16, 1, 1},
     .instruction_set = instruction_set_fma3,
     .run = live_tap_5x16_fma3},
    {.format = {tile_int8, 16, 64, 4, 1},
     .instruction_set = instruction_set_avx512amx,
     .run = live_tap_16x64c4_avx512amx,
     .step_bytes = 64},
    {.format = {tile_int8, 7, 16, 8, 1},
     .instruction_set = instruction_set_avx512vnni,
     .run = live_tap_7x16c8_avx512vnni,
     .input_offset = 128},
    {.format = {tile_int8, 3, 8, 8, 1},
     .instruction_set = instruction_set_avx2,
     .run = live_tap_3x8c8_avx2},
#elif XNN_ARCH_ARM64
    {.format = {tile_float32, 6, 8, 1, 1},
     .instruction_set = instruction_set_neon,
     .run = live_tap_6x8_neon},
    {.format = {tile_float32, 4, 8, 1, 1},
     .instruction_set = instruction_set_neon,
     .run = live_tap_4x8_neon},
    {.format = {tile_int8, 4, 16, 4, 1},
     .instruction_set = instruction_set_neondot,
     .run = live_tap_4x16c4_neondot},
    {.format = {tile_int8, 2, 8, 8, 1},
     .instruction_set = instruction_set_neon,
     .run = live_tap_2x8c8_neon},
#endif
    {.run = 0},
};
