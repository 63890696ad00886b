#include "native/dense/narrow-gemm.h"

#include "xnnpack/common.h"
#include "xnnpack/config.h"

#if XNN_ARCH_X86_64 && XNN_ENABLE_AVX512F

#include "xnnpack/gemm.h"
#include "xnnpack/hardware-config.h"
#include "xnnpack/igemm.h"
#include "xnnpack/init-once.h"
#include "xnnpack/math.h"
#include "xnnpack/microparams-init.h"
#include "xnnpack/pack.h"
#include "xnnpack/packw.h"

static struct xnn_gemm_config narrow_config;

XNN_INIT_ONCE_GUARD(narrow);

static void init_narrow_config(void) {
  narrow_config.minmax.gemm[1 - 1] = xnn_init_hmp_gemm_ukernel(
      (xnn_gemm_ukernel_fn)xnn_f32_gemm_minmax_ukernel_1x16__avx512f_broadcast);
  narrow_config.minmax.gemm[7 - 1] = xnn_init_hmp_gemm_ukernel(
      (xnn_gemm_ukernel_fn)xnn_f32_gemm_minmax_ukernel_7x16__avx512f_broadcast);
  narrow_config.minmax.igemm[1 - 1] = xnn_init_hmp_igemm_ukernel(
      (xnn_igemm_ukernel_fn)
          xnn_f32_igemm_minmax_ukernel_1x16__avx512f_broadcast);
  narrow_config.minmax.igemm[7 - 1] = xnn_init_hmp_igemm_ukernel(
      (xnn_igemm_ukernel_fn)
          xnn_f32_igemm_minmax_ukernel_7x16__avx512f_broadcast);
  narrow_config.init.f32 = xnn_init_f32_minmax_scalar_params;
  narrow_config.pack_gemm_gio =
      (xnn_packw_gemm_gio_ukernel_fn)xnn_pack_f32_gemm_gio_w;
  narrow_config.pack_gemm_goi =
      (xnn_packw_gemm_goi_ukernel_fn)xnn_x32_packw_gemm_goi_ukernel_x16__avx_u4;
  narrow_config.mr = 7;
  narrow_config.nr = 16;
}

const struct xnn_gemm_config* xnn_narrow_gemm_config(
    const struct xnn_gemm_config* wide, size_t output_channels) {
  const struct xnn_hardware_config* hardware = xnn_init_hardware_config();
  if (hardware == NULL || !hardware->use_x86_avx512f || wide->nr != 32) {
    return wide;
  }
  // For each input channel and 7 rows, the 7x32 kernel has 14 multiply-adds, at
  // two a cycle; the 7x16 kernel has 8 loads, at two a cycle.
  const size_t wide_cycles = 7 * divide_round_up(output_channels, 32);
  const size_t narrow_cycles = 4 * divide_round_up(output_channels, 16);
  if (wide_cycles <= narrow_cycles) {
    return wide;
  }
  XNN_INIT_ONCE(narrow);
  return &narrow_config;
}

#else

const struct xnn_gemm_config* xnn_narrow_gemm_config(
    const struct xnn_gemm_config* wide, size_t output_channels) {
  (void)output_channels;
  return wide;
}

#endif
