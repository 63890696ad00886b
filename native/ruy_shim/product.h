// A matrix product with all that TFLite's kernels ask of one, types erased.

#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_PRODUCT_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_PRODUCT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ruy/context.h"

struct tflite_sparse_kernels;

namespace tflite_sparse {

enum class ScalarType { kFloat, kInt8, kUint8, kInt16, kInt32 };

template <typename Scalar>
constexpr ScalarType TypeOf();
template <>
constexpr ScalarType TypeOf<float>() {
  return ScalarType::kFloat;
}
template <>
constexpr ScalarType TypeOf<std::int8_t>() {
  return ScalarType::kInt8;
}
template <>
constexpr ScalarType TypeOf<std::uint8_t>() {
  return ScalarType::kUint8;
}
template <>
constexpr ScalarType TypeOf<std::int16_t>() {
  return ScalarType::kInt16;
}
template <>
constexpr ScalarType TypeOf<std::int32_t>() {
  return ScalarType::kInt32;
}

// A matrix. Element (v, k) is at data[v * step + k * inner_step]: v counts the
// rows of the left and the columns of the right factor, k the depth; in the
// result v counts rows and k columns.
struct ProductMatrix {
  void* data = nullptr;
  ScalarType type = ScalarType::kFloat;
  std::ptrdiff_t step = 0;
  std::ptrdiff_t inner_step = 0;
  std::int32_t zero_point = 0;
};

// Either all three matrices are float, or the factors are int8, uint8 or int16
// (at most one of them int16) and the result is int8, uint8, int16 or int32.
struct Product {
  int rows = 0;
  int cols = 0;
  int depth = 0;
  ProductMatrix lhs;
  ProductMatrix rhs;
  ProductMatrix dst;
  // One for each row, float or int32; null: none.
  const void* bias = nullptr;
  float float_min = 0;
  float float_max = 0;
  std::int32_t min = 0;
  std::int32_t max = 0;
  // Whether the sum is multiplied by multiplier * 2^(exponent - 31) of its row
  // and rounded as tflite_sparse_scale says.
  bool scaled = false;
  const std::int32_t* multipliers = nullptr;
  const int* exponents = nullptr;
  // From one row's multiplier and exponent to the next: 1, or 0 for the same.
  std::ptrdiff_t multiplier_step = 0;
};

// The kernels that this processor can run, the fastest last.
const std::vector<const tflite_sparse_kernels*>& UsableKernels();

void Multiply(const Product& product, const tflite_sparse_kernels& kernels,
              ruy::Context* context);

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_PRODUCT_H_
