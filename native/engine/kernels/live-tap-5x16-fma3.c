#define KERNEL live_tap_5x16_fma3
#define MR 5
#define NR 16
#define LANES 8
#include "native/engine/kernels/live-tap.inc"
