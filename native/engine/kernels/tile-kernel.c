#include "native/engine/kernels/tile-kernel.h"

#include <stddef.h>

#include "native/engine/kernels/instruction-set.h"

tile_kernel_fn tile_kernel_find(const struct tile_kernel* kernels,
                                struct tile_format format) {
  for (; kernels->run != NULL; kernels++) {
    const struct tile_format* own = &kernels->format;
    if (own->type == format.type && own->mr == format.mr &&
        own->nr == format.nr && own->kr == format.kr && own->sr == format.sr &&
        instruction_set_is_present(kernels->instruction_set)) {
      return kernels->run;
    }
  }
  return NULL;
}
