#define KERNEL live_tap_7x16_avx512f
#define MR 7
#define NR 16
#define LANES 16
#include "native/engine/kernels/live-tap.inc"
