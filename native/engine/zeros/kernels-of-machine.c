#include <stddef.h>

#include "native/engine/zeros/nonzero-gemm.h"
#include "native/engine/zeros/nonzero-lists.h"
#include "xnnpack/common.h"
#include "xnnpack/hardware-config.h"

#if XNN_ARCH_X86_64

#include "cpuinfo.h"

const struct nonzero_kernels* nonzero_kernels_for(size_t nr) {
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  if (hardware == NULL || nonzero_list_for_this_machine() == NULL) {
    return NULL;
  }
  if (hardware->use_x86_avx512f && nr == 32) {
    return &kNonzeroAvx512fx32;
  }
  if (hardware->use_x86_avx512f && nr == 16) {
    return &kNonzeroAvx512fx16;
  }
  return hardware->use_x86_fma3 && nr == 16 ? &kNonzeroFma3x16 : NULL;
}

nonzero_list_fn nonzero_list_for_this_machine(void) {
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  if (hardware == NULL || !hardware->use_x86_avx2) {
    return NULL;
  }
  return hardware->use_x86_avx512skx && cpuinfo_has_x86_avx512vbmi2()
             ? nonzero_list_avx512vbmi2
             : nonzero_list_avx2;
}

#elif XNN_ARCH_ARM64

const struct nonzero_kernels* nonzero_kernels_for(size_t nr) {
  return nr == 8 ? &kNonzeroNeonx8 : NULL;
}

nonzero_list_fn nonzero_list_for_this_machine(void) {
  return nonzero_list_neon;
}

#else
#error "native/engine/zeros has no kernels for this architecture"
#endif
