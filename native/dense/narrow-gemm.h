// Matrix multiply with fewer idle lanes, for few output channels.

#ifndef TFLITE_SPARSE_NATIVE_DENSE_NARROW_GEMM_H_
#define TFLITE_SPARSE_NATIVE_DENSE_NARROW_GEMM_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xnn_gemm_config;

// The configuration that computes so many output channels faster: `wide`, or
// one of upstream's narrower kernels for the same machine.
const struct xnn_gemm_config* xnn_narrow_gemm_config(
    const struct xnn_gemm_config* wide, size_t output_channels);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_DENSE_NARROW_GEMM_H_
