#define KERNEL live_tap_igemm_7x16_avx512f
#define MR 7
#define NR 16
#define LANES 16
#include "native/engine/kernels/live-tap-igemm.inc"
