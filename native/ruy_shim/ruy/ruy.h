// The part of ruy's interface that TFLite's kernels use, implemented here: no
// source of ruy is in Debian. Products run by the kernels of
// native/ruy_shim/kernels.c. Integer products are rounded as ruy rounds them
// and are the same on each processor, with any number of threads.
//
// Unlike ruy, it never keeps a packed matrix from one product to the next.

#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_RUY_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_RUY_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "native/ruy_shim/product.h"
#include "ruy/context.h"

namespace ruy {

enum class Order : std::uint8_t { kColMajor, kRowMajor };

enum class CachePolicy : std::uint8_t {
  kNeverCache,
  kCacheIfLargeSpeedup,
  kAlwaysCache,
};

class Layout {
 public:
  int rows() const { return rows_; }
  int cols() const { return cols_; }
  int stride() const { return stride_; }
  Order order() const { return order_; }
  void set_rows(int rows) { rows_ = rows; }
  void set_cols(int cols) { cols_ = cols; }
  void set_stride(int stride) { stride_ = stride; }
  void set_order(Order order) { order_ = order; }

  // Elements from one row, or column, to the next.
  std::ptrdiff_t row_step() const {
    return order_ == Order::kRowMajor ? stride_ : 1;
  }
  std::ptrdiff_t col_step() const {
    return order_ == Order::kRowMajor ? 1 : stride_;
  }

 private:
  int rows_ = 0;
  int cols_ = 0;
  int stride_ = 0;
  Order order_ = Order::kColMajor;
};

inline void MakeSimpleLayout(int rows, int cols, Order order, Layout* layout) {
  layout->set_rows(rows);
  layout->set_cols(cols);
  layout->set_order(order);
  layout->set_stride(order == Order::kColMajor ? rows : cols);
}

template <typename Scalar>
class Matrix {
 public:
  Scalar* data() const { return const_cast<Scalar*>(data_); }
  void set_data(const Scalar* data) { data_ = data; }
  const Layout& layout() const { return layout_; }
  Layout* mutable_layout() { return &layout_; }
  Scalar zero_point() const { return zero_point_; }
  void set_zero_point(Scalar zero_point) { zero_point_ = zero_point; }
  void set_cache_policy(CachePolicy) {}

 private:
  const Scalar* data_ = nullptr;
  Layout layout_;
  Scalar zero_point_ = 0;
};

// Bias and multipliers are of rows: TFLite's output channels.
template <typename Accumulator, typename Scalar>
class MulParams {
 public:
  const Accumulator* bias() const { return bias_; }
  void set_bias(const Accumulator* bias) { bias_ = bias; }
  void set_multiplier_fixedpoint(Accumulator value) { multiplier_ = value; }
  void set_multiplier_exponent(int value) { exponent_ = value; }
  void set_multiplier_fixedpoint_perchannel(const Accumulator* values) {
    multipliers_ = values;
  }
  void set_multiplier_exponent_perchannel(const int* values) {
    exponents_ = values;
  }
  Scalar clamp_min() const { return clamp_min_; }
  Scalar clamp_max() const { return clamp_max_; }
  void set_clamp_min(Scalar value) { clamp_min_ = value; }
  void set_clamp_max(Scalar value) { clamp_max_ = value; }

  bool per_channel() const { return multipliers_ != nullptr; }
  const Accumulator* multipliers() const {
    return per_channel() ? multipliers_ : &multiplier_;
  }
  const int* exponents() const {
    return per_channel() ? exponents_ : &exponent_;
  }

 private:
  using Limits = std::numeric_limits<Scalar>;
  const Accumulator* bias_ = nullptr;
  Accumulator multiplier_ = 0;
  int exponent_ = 0;
  const Accumulator* multipliers_ = nullptr;
  const int* exponents_ = nullptr;
  Scalar clamp_min_ =
      Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  Scalar clamp_max_ = Limits::has_infinity ? Limits::infinity() : Limits::max();
};

template <typename Lhs, typename Rhs, typename Accumulator, typename Dst>
tflite_sparse::Product MakeProduct(const Matrix<Lhs>& lhs,
                                   const Matrix<Rhs>& rhs,
                                   const MulParams<Accumulator, Dst>& params,
                                   const Matrix<Dst>& dst) {
  using tflite_sparse::TypeOf;
  tflite_sparse::Product product;
  product.rows = lhs.layout().rows();
  product.cols = rhs.layout().cols();
  product.depth = lhs.layout().cols();
  product.lhs = {lhs.data(), TypeOf<Lhs>(), lhs.layout().row_step(),
                 lhs.layout().col_step()};
  product.rhs = {rhs.data(), TypeOf<Rhs>(), rhs.layout().col_step(),
                 rhs.layout().row_step()};
  product.dst = {dst.data(), TypeOf<Dst>(), dst.layout().row_step(),
                 dst.layout().col_step()};
  product.bias = params.bias();
  if constexpr (std::is_same<Accumulator, float>::value) {
    product.float_min = params.clamp_min();
    product.float_max = params.clamp_max();
  } else {
    product.lhs.zero_point = lhs.zero_point();
    product.rhs.zero_point = rhs.zero_point();
    product.dst.zero_point = dst.zero_point();
    product.min = params.clamp_min();
    product.max = params.clamp_max();
    product.scaled = !std::is_same<Dst, std::int32_t>::value;
    product.multipliers = params.multipliers();
    product.exponents = params.exponents();
    product.multiplier_step = params.per_channel() ? 1 : 0;
  }
  return product;
}

// *dst = lhs * rhs, plus the bias, in an integer product of less than 32 bits
// scaled and moved to the zero point, clamped.
template <typename Lhs, typename Rhs, typename Accumulator, typename Dst>
void Mul(const Matrix<Lhs>& lhs, const Matrix<Rhs>& rhs,
         const MulParams<Accumulator, Dst>& params, Context* context,
         Matrix<Dst>* dst) {
  tflite_sparse::Multiply(MakeProduct(lhs, rhs, params, *dst),
                          *tflite_sparse::UsableKernels().back(), context);
}

}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_RUY_H_
