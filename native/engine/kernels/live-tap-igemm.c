#include "native/engine/kernels/live-tap-igemm.h"

#include <stdbool.h>
#include <stddef.h>

#include "xnnpack/common.h"
#include "xnnpack/hardware-config.h"

#if XNN_ARCH_X86_64

live_tap_igemm_fn live_tap_igemm_for(size_t mr, size_t nr) {
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  if (hardware == NULL) {
    return NULL;
  }
  if (hardware->use_x86_avx512f && mr == 7 && nr == 32) {
    return live_tap_igemm_7x32_avx512f;
  }
  if (hardware->use_x86_avx512f && mr == 7 && nr == 16) {
    return live_tap_igemm_7x16_avx512f;
  }
  if (hardware->use_x86_fma3 && mr == 5 && nr == 16) {
    return live_tap_igemm_5x16_fma3;
  }
  return NULL;
}

bool live_tap_igemm_exists(void) {
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  return hardware != NULL &&
         (hardware->use_x86_avx512f || hardware->use_x86_fma3);
}

#else

live_tap_igemm_fn live_tap_igemm_for(size_t mr, size_t nr) {
  (void)mr;
  (void)nr;
  return NULL;
}

bool live_tap_igemm_exists(void) { return false; }

#endif  // XNN_ARCH_X86_64
