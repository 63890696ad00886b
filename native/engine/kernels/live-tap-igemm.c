#include "native/engine/kernels/live-tap-igemm.h"

#include <stddef.h>

#include "xnnpack/common.h"
#include "xnnpack/hardware-config.h"

struct live_tap_kernel live_tap_kernel_for_machine(void) {
#if XNN_ARCH_X86_64
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  if (hardware != NULL && hardware->use_x86_avx512f) {
    return (struct live_tap_kernel){live_tap_igemm_7x32_avx512f, 7, 32};
  }
  if (hardware != NULL && hardware->use_x86_fma3) {
    return (struct live_tap_kernel){live_tap_igemm_5x16_fma3, 5, 16};
  }
#endif
  return (struct live_tap_kernel){NULL, 0, 0};
}
