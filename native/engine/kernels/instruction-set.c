#include "native/engine/kernels/instruction-set.h"

#include <stdbool.h>
#include <stddef.h>

#include "xnnpack/common.h"
#include "xnnpack/hardware-config.h"

bool instruction_set_is_present(enum instruction_set set) {
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  if (hardware == NULL) {
    return false;
  }
  switch (set) {
    case instruction_set_baseline:
      return true;
#if XNN_ARCH_X86_64
    case instruction_set_fma3:
      return hardware->use_x86_fma3;
    case instruction_set_avx512f:
      return hardware->use_x86_avx512f;
    case instruction_set_avx2:
      return hardware->use_x86_avx2;
    case instruction_set_avx512vnni:
      return hardware->use_x86_avx512vnni;
    case instruction_set_avx512amx:
      return hardware->use_x86_avx512amx;
#elif XNN_ARCH_ARM64
    case instruction_set_neon:
      return true;
    case instruction_set_neondot:
      return hardware->use_arm_neon_dot;
#endif
    default:
      return false;
  }
}

enum instruction_set instruction_set_best(void) {
  enum instruction_set best = instruction_set_count - 1;
  while (best != instruction_set_baseline &&
         !instruction_set_is_present(best)) {
    best--;
  }
  return best;
}
