// Compiled once for each instruction set, which names the result: KERNELS.

#include "native/ruy_shim/kernels.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

// As many columns as leave registers for two vectors of the panel.
#if defined(__AVX512BW__)
enum { kLanes = 16, kCols = 12 };
#elif defined(__AVX2__)
enum { kLanes = 8, kCols = 6 };
#elif defined(__x86_64__)
enum { kLanes = 4, kCols = 4 };
#else
enum { kLanes = 4, kCols = 8 };
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("clang loop unroll(full)")

// Read from any address.
typedef float Floats
    __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t Ints
    __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

// A vector of a panel's pairs, and a pair of a column for all lanes.
#if defined(__x86_64__)
typedef Ints Pairs;
typedef Ints Pair;

INLINE Pairs LoadPairs(const int16_t* panel) { return *(const Pairs*)panel; }

INLINE Pair LoadPair(const int16_t* column) {
  int32_t pair;
  memcpy(&pair, column, sizeof(pair));
  return pair - (Pair){0};
}

INLINE Ints MultiplyAdd(Ints sum, Pairs a, Pair b) {
#if defined(__AVX512BW__)
  return sum + (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return sum + (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
  return sum + (Ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}
#else
typedef int16x4x2_t Pairs;
typedef int16x4_t Pair;

INLINE Pairs LoadPairs(const int16_t* panel) { return vld2_s16(panel); }

INLINE Pair LoadPair(const int16_t* column) {
  int32_t pair;
  memcpy(&pair, column, sizeof(pair));
  return vreinterpret_s16_s32(vdup_n_s32(pair));
}

INLINE Ints MultiplyAdd(Ints sum, Pairs a, Pair b) {
  const int32x4_t first = vmlal_lane_s16((int32x4_t)sum, a.val[0], b, 0);
  return (Ints)vmlal_lane_s16(first, a.val[1], b, 1);
}
#endif

// Columns beyond the last are the last once more; their sums are not stored.
#define TILE(NAME, ELEMENT, SUM, SUMS, STRIDE, LEFT, LOAD_LEFT, RIGHT,        \
             LOAD_RIGHT, MULTIPLY_ADD)                                        \
  INLINE void NAME##Of(size_t steps, const ELEMENT* panel, const int vectors, \
                       const ELEMENT* columns, ptrdiff_t step,                \
                       const size_t width, size_t cols, SUM* out) {           \
    const ELEMENT* column[kCols];                                             \
    SUMS sums[2][kCols];                                                      \
    UNROLLED for (size_t c = 0; c < width; c++) {                             \
      column[c] = columns + step * (ptrdiff_t)(c < cols ? c : cols - 1);      \
      sums[0][c] = sums[1][c] = (SUMS){0};                                    \
    }                                                                         \
    for (size_t k = 0; k < steps; k++) {                                      \
      const LEFT first = LOAD_LEFT(panel);                                    \
      const LEFT second = LOAD_LEFT(panel + (vectors - 1) * kLanes * STRIDE); \
      panel += vectors * kLanes * STRIDE;                                     \
      UNROLLED for (size_t c = 0; c < width; c++) {                           \
        const RIGHT right = LOAD_RIGHT(column[c] + STRIDE * k);               \
        sums[0][c] = MULTIPLY_ADD(sums[0][c], first, right);                  \
        if (vectors == 2) {                                                   \
          sums[1][c] = MULTIPLY_ADD(sums[1][c], second, right);               \
        }                                                                     \
      }                                                                       \
    }                                                                         \
    UNROLLED for (size_t c = 0; c < width; c++) {                             \
      if (c < cols) {                                                         \
        *(SUMS*)(out) = sums[0][c];                                           \
        if (vectors == 2) {                                                   \
          *(SUMS*)(out + kLanes) = sums[1][c];                                \
        }                                                                     \
        out += vectors * kLanes;                                              \
      }                                                                       \
    }                                                                         \
  }                                                                           \
                                                                              \
  static void NAME(size_t steps, const ELEMENT* panel, size_t vectors,        \
                   const ELEMENT* columns, ptrdiff_t step, size_t cols,       \
                   SUM* sums) {                                               \
    if (vectors == 2 && cols > kCols / 2) {                                   \
      NAME##Of(steps, panel, 2, columns, step, kCols, cols, sums);            \
    } else if (vectors == 2) {                                                \
      NAME##Of(steps, panel, 2, columns, step, kCols / 2, cols, sums);        \
    } else if (cols > kCols / 2) {                                            \
      NAME##Of(steps, panel, 1, columns, step, kCols, cols, sums);            \
    } else {                                                                  \
      NAME##Of(steps, panel, 1, columns, step, kCols / 2, cols, sums);        \
    }                                                                         \
  }

INLINE Floats LoadFloats(const float* panel) { return *(const Floats*)panel; }
INLINE float LoadFloat(const float* column) { return *column; }
INLINE Floats MultiplyAddFloats(Floats sum, Floats a, float b) {
  return sum + a * b;
}

TILE(FloatTile, float, float, Floats, 1, Floats, LoadFloats, float, LoadFloat,
     MultiplyAddFloats)
TILE(IntTile, int16_t, int32_t, Ints, 2, Pairs, LoadPairs, Pair, LoadPair,
     MultiplyAdd)

static void FloatDots(size_t depth, const float* one, const float* others,
                      ptrdiff_t step, size_t count, float* out) {
  const float* other[kMaxDots];
  // Two of each, because one addition waits for the one before.
  Floats sums[kMaxDots][2];
  UNROLLED for (size_t i = 0; i < kMaxDots; i++) {
    other[i] = others + step * (ptrdiff_t)(i < count ? i : count - 1);
    sums[i][0] = sums[i][1] = (Floats){0};
  }
  size_t k = 0;
  for (; k + 2 * kLanes <= depth; k += 2 * kLanes) {
    UNROLLED for (size_t i = 0; i < kMaxDots; i++) {
      sums[i][0] += LoadFloats(one + k) * LoadFloats(other[i] + k);
      sums[i][1] +=
          LoadFloats(one + k + kLanes) * LoadFloats(other[i] + k + kLanes);
    }
  }
  for (size_t i = 0; i < count; i++) {
    const Floats both = sums[i][0] + sums[i][1];
    float sum = 0;
    for (size_t lane = 0; lane < kLanes; lane++) {
      sum += both[lane];
    }
    for (size_t rest = k; rest < depth; rest++) {
      sum += one[rest] * other[i][rest];
    }
    out[i] = sum;
  }
}

// The compiler makes pairwise multiply-adds of these loops by itself.
#define INT_FUNCTIONS(NAME, ELEMENT)                                           \
  static void NAME##Dots(size_t depth, const int16_t* one,                     \
                         const ELEMENT* others, ptrdiff_t step, size_t count,  \
                         int32_t zero_point, int32_t* out) {                   \
    for (size_t i = 0; i < count; i++) {                                       \
      const ELEMENT* other = others + step * (ptrdiff_t)i;                     \
      int32_t sum = 0;                                                         \
      for (size_t k = 0; k < depth; k++) {                                     \
        sum += one[k] * (int16_t)(other[k] - zero_point);                      \
      }                                                                        \
      out[i] = sum;                                                            \
    }                                                                          \
  }                                                                            \
                                                                               \
  static void Widen##NAME(size_t count, const ELEMENT* in, int32_t zero_point, \
                          int16_t* out) {                                      \
    for (size_t i = 0; i < count; i++) {                                       \
      out[i] = (int16_t)(in[i] - zero_point);                                  \
    }                                                                          \
  }

INT_FUNCTIONS(Int8, int8_t)
INT_FUNCTIONS(Uint8, uint8_t)
INT_FUNCTIONS(Int16, int16_t)

static void FloatResults(size_t rows, size_t cols, const float* bias, float min,
                         float max, float* sums) {
  for (size_t c = 0; c < cols; c++) {
    for (size_t r = 0; r < rows; r++) {
      float value = sums[c * rows + r] + bias[r];
      value = value < min ? min : value;
      sums[c * rows + r] = value > max ? max : value;
    }
  }
}

// As ruy scales, and Arm's instructions for it do: rounded after the multiplier
// and after the shift, halves upwards.
INLINE int32_t Scaled(int32_t sum, int32_t multiplier, int32_t left,
                      int32_t right) {
  const int32_t shifted = (int32_t)((uint32_t)sum << left);
  const int64_t product = (int64_t)shifted * multiplier + (1 << 30);
  const int32_t high = (int32_t)((uint64_t)product >> 31);
  const int32_t half = (int32_t)((1u << right) >> 1);
  return (high >> right) + ((high & half) != 0);
}

static void IntResults(size_t rows, size_t cols, const int32_t* bias,
                       const struct tflite_sparse_scale* scale,
                       int32_t zero_point, int32_t min, int32_t max,
                       int32_t* sums) {
  for (size_t c = 0; c < cols; c++) {
    int32_t* const column = sums + c * rows;
    for (size_t r = 0; r < rows; r++) {
      column[r] = (int32_t)((uint32_t)column[r] + (uint32_t)bias[r]);
    }
    if (scale != NULL) {
      for (size_t r = 0; r < rows; r++) {
        column[r] = Scaled(column[r], scale->multiplier[r], scale->left[r],
                           scale->right[r]);
      }
    }
    for (size_t r = 0; r < rows; r++) {
      int32_t value = (int32_t)((uint32_t)column[r] + (uint32_t)zero_point);
      value = value < min ? min : value;
      column[r] = value > max ? max : value;
    }
  }
}

const struct tflite_sparse_kernels KERNELS = {
    .lanes = kLanes,
    .cols = kCols,
    .float_tile = FloatTile,
    .int_tile = IntTile,
    .float_dots = FloatDots,
    .int8_dots = Int8Dots,
    .uint8_dots = Uint8Dots,
    .int16_dots = Int16Dots,
    .widen_int8 = WidenInt8,
    .widen_uint8 = WidenUint8,
    .widen_int16 = WidenInt16,
    .float_results = FloatResults,
    .int_results = IntResults,
};
