#define KERNEL live_tap_6x8_neon
#define MR 6
#define NR 8
#define LANES 4
#define BY_LANE
#include "native/engine/kernels/live-tap.inc"
