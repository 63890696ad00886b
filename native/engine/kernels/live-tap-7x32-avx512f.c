#define KERNEL live_tap_7x32_avx512f
#define MR 7
#define NR 32
#define LANES 16
#include "native/engine/kernels/live-tap.inc"
