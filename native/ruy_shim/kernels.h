// The inner loops of matrix products, one set for each instruction set.
//
// The left factor comes in panels: `vectors` (1 or 2) times `lanes` rows side
// by side, for each step of the depth one element of each row. Columns of the
// right factor are contiguous, `step` elements apart. Sums are stored column by
// column, vectors * lanes of them each.
//
// Integers are multiplied as int16, zero points taken off, two steps of the
// depth at once: a panel holds pairs of neighbours, and columns of an odd depth
// end with a zero.

#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_KERNELS_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_KERNELS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { kMaxPanelRows = 32, kMaxDots = 4 };

// How a panel's integer sums become results, for each of its rows: multiply by
// multiplier * 2^(left - 31), round, multiply by 2^-right, round; halves
// upwards.
struct tflite_sparse_scale {
  int32_t multiplier[kMaxPanelRows];
  int32_t left[kMaxPanelRows];
  int32_t right[kMaxPanelRows];
};

struct tflite_sparse_kernels {
  size_t lanes;
  // The most columns of a tile.
  size_t cols;

  void (*float_tile)(size_t depth, const float* panel, size_t vectors,
                     const float* columns, ptrdiff_t step, size_t cols,
                     float* sums);
  void (*int_tile)(size_t pairs, const int16_t* panel, size_t vectors,
                   const int16_t* columns, ptrdiff_t step, size_t cols,
                   int32_t* sums);

  // Dot products of `one` with `count` (1 to kMaxDots) others, `step` elements
  // apart.
  void (*float_dots)(size_t depth, const float* one, const float* others,
                     ptrdiff_t step, size_t count, float* sums);
  void (*int8_dots)(size_t depth, const int16_t* one, const int8_t* others,
                    ptrdiff_t step, size_t count, int32_t zero_point,
                    int32_t* sums);
  void (*uint8_dots)(size_t depth, const int16_t* one, const uint8_t* others,
                     ptrdiff_t step, size_t count, int32_t zero_point,
                     int32_t* sums);
  void (*int16_dots)(size_t depth, const int16_t* one, const int16_t* others,
                     ptrdiff_t step, size_t count, int32_t zero_point,
                     int32_t* sums);

  // out[i] = in[i] - zero_point.
  void (*widen_int8)(size_t count, const int8_t* in, int32_t zero_point,
                     int16_t* out);
  void (*widen_uint8)(size_t count, const uint8_t* in, int32_t zero_point,
                      int16_t* out);
  void (*widen_int16)(size_t count, const int16_t* in, int32_t zero_point,
                      int16_t* out);

  // Turn sums of `cols` columns of `rows` rows into results, in place.
  void (*float_results)(size_t rows, size_t cols, const float* bias, float min,
                        float max, float* sums);
  // Without a scale, sums are not multiplied.
  void (*int_results)(size_t rows, size_t cols, const int32_t* bias,
                      const struct tflite_sparse_scale* scale,
                      int32_t zero_point, int32_t min, int32_t max,
                      int32_t* sums);
};

#if defined(__x86_64__)
// x86-64's base, AVX2 with FMA, and AVX-512 F, BW, DQ and VL.
extern const struct tflite_sparse_kernels tflite_sparse_kernels_sse2;
extern const struct tflite_sparse_kernels tflite_sparse_kernels_avx2;
extern const struct tflite_sparse_kernels tflite_sparse_kernels_avx512;
#else
extern const struct tflite_sparse_kernels tflite_sparse_kernels_neon;
#endif

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_KERNELS_H_
