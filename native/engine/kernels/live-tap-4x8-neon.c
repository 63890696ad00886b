#define KERNEL live_tap_4x8_neon
#define MR 4
#define NR 8
#define LANES 4
#define BY_LANE
#include "native/engine/kernels/live-tap.inc"
