// Products against loops that read as their definition: float within rounding,
// integers exactly, for every set of kernels that this processor runs.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "native/ruy_shim/kernels.h"
#include "ruy/ruy.h"

namespace {

using tflite_sparse::UsableKernels;

uint32_t Seed() {
  const char* const wanted = getenv("TFLITE_SPARSE_SEED");
  return wanted == nullptr ? 1 : static_cast<uint32_t>(atoi(wanted));
}

// A product of random matrices.
template <typename Lhs, typename Rhs, typename Accumulator, typename Dst>
class Case {
 public:
  Case(std::mt19937* random, int rows, int cols, int depth)
      : lhs_data_(Values<Lhs>(random, rows * depth)),
        rhs_data_(Values<Rhs>(random, depth * cols)),
        // Elements that are not written would show.
        dst_data_(rows * cols, Dst(77)),
        bias_(Biases(random, rows)) {
    Define(random, rows, depth, lhs_data_, &lhs_);
    Define(random, depth, cols, rhs_data_, &rhs_);
    Define(random, rows, cols, dst_data_, &dst_);
    if ((*random)() % 4 != 0) {
      params_.set_bias(bias_.data());
    }
    if constexpr (std::is_same_v<Dst, float>) {
      if ((*random)() % 2) {
        params_.set_clamp_min(0);
        params_.set_clamp_max(6);
      }
    } else if constexpr (!std::is_same_v<Dst, int32_t>) {
      if ((*random)() % 2) {
        params_.set_clamp_min(dst_.zero_point());
      }
      SetScales(random, rows, depth);
    }
  }

  // Runs it with `kernels` and compares each element.
  void Check(const tflite_sparse_kernels& kernels, int threads) {
    std::fill(dst_data_.begin(), dst_data_.end(), Dst(77));
    ruy::Context context;
    context.set_max_num_threads(threads);
    tflite_sparse::Multiply(ruy::MakeProduct(lhs_, rhs_, params_, dst_),
                            kernels, &context);
    const int depth = lhs_.layout().cols();
    for (int c = 0; c < rhs_.layout().cols(); c++) {
      for (int r = 0; r < lhs_.layout().rows(); r++) {
        CheckElement(r, c, depth);
        if (testing::Test::HasFailure()) {
          return;
        }
      }
    }
  }

  const std::vector<Dst>& result() const { return dst_data_; }

 private:
  template <typename Scalar>
  static std::vector<Scalar> Values(std::mt19937* random, int count) {
    std::vector<Scalar> values(count);
    for (Scalar& value : values) {
      if constexpr (std::is_same_v<Scalar, float>) {
        value = std::uniform_real_distribution<float>(-1, 1)(*random);
      } else {
        // Largest and smallest ones come often.
        const int kind = (*random)() % 8;
        using Limits = std::numeric_limits<Scalar>;
        value = kind == 0   ? Limits::min()
                : kind == 1 ? Limits::max()
                            : static_cast<Scalar>((*random)());
      }
    }
    return values;
  }

  static std::vector<Accumulator> Biases(std::mt19937* random, int rows) {
    std::vector<Accumulator> biases(rows);
    for (Accumulator& bias : biases) {
      bias = std::is_same_v<Accumulator, float>
                 ? std::uniform_real_distribution<float>(-1, 1)(*random)
                 : static_cast<int>((*random)() % 20001) - 10000;
    }
    return biases;
  }

  template <typename Scalar>
  static void Define(std::mt19937* random, int rows, int cols,
                     const std::vector<Scalar>& data,
                     ruy::Matrix<Scalar>* matrix) {
    ruy::MakeSimpleLayout(
        rows, cols,
        (*random)() % 2 ? ruy::Order::kRowMajor : ruy::Order::kColMajor,
        matrix->mutable_layout());
    matrix->set_data(data.data());
    if constexpr (sizeof(Scalar) == 1) {
      matrix->set_zero_point(static_cast<Scalar>((*random)()));
    }
  }

  void SetScales(std::mt19937* random, int rows, int depth) {
    // Sums of about sqrt(depth) * 2^14 become results of the whole range.
    const int typical = -8 - static_cast<int>(std::log2(depth + 1) / 2);
    const bool wide = sizeof(Rhs) == 2;
    for (int r = 0; r < rows; r++) {
      multipliers_.push_back((1 << 30) + (*random)() % (1 << 30));
      exponents_.push_back(typical + static_cast<int>((*random)() % 5) -
                           (wide ? 2 : 0));
    }
    if (rows > 0 && (*random)() % 4 == 0) {
      exponents_[0] = 2;
    }
    if ((*random)() % 2) {
      params_.set_multiplier_fixedpoint_perchannel(multipliers_.data());
      params_.set_multiplier_exponent_perchannel(exponents_.data());
    } else if (rows > 0) {
      params_.set_multiplier_fixedpoint(multipliers_[0]);
      params_.set_multiplier_exponent(exponents_[0]);
    }
  }

  template <typename Scalar>
  static Scalar At(const ruy::Matrix<Scalar>& matrix, int row, int col) {
    const ruy::Layout& layout = matrix.layout();
    return matrix.data()[layout.order() == ruy::Order::kRowMajor
                             ? row * layout.cols() + col
                             : col * layout.rows() + row];
  }

  void CheckElement(int r, int c, int depth) {
    const auto* const bias = params_.bias();
    if constexpr (std::is_same_v<Dst, float>) {
      double sum = bias == nullptr ? 0 : bias[r];
      double magnitude = std::abs(sum);
      for (int k = 0; k < depth; k++) {
        const double term = double{At(lhs_, r, k)} * At(rhs_, k, c);
        sum += term;
        magnitude += std::abs(term);
      }
      const double expected = std::min<double>(
          std::max<double>(sum, params_.clamp_min()), params_.clamp_max());
      // Each of depth + 1 additions and depth products rounds once.
      const double tolerance =
          std::numeric_limits<float>::epsilon() * (depth + 1) * magnitude;
      EXPECT_NEAR(expected, At(dst_, r, c), tolerance)
          << "row " << r << ", column " << c;
    } else {
      uint32_t sum = bias == nullptr ? 0 : bias[r];
      for (int k = 0; k < depth; k++) {
        sum += static_cast<uint32_t>((At(lhs_, r, k) - lhs_.zero_point()) *
                                     (At(rhs_, k, c) - rhs_.zero_point()));
      }
      int32_t expected = static_cast<int32_t>(sum);
      if constexpr (!std::is_same_v<Dst, int32_t>) {
        const int from = params_.per_channel() ? r : 0;
        const int exponent = params_.exponents()[from];
        // Exact: the product has 62 bits, a long double at least 64.
        const long double high =
            std::floor(std::ldexp(static_cast<long double>(expected) *
                                      params_.multipliers()[from],
                                  std::max(exponent, 0) - 31) +
                       0.5L);
        expected = static_cast<int32_t>(
            std::floor(std::ldexp(high, std::min(exponent, 0)) + 0.5L));
        expected += dst_.zero_point();
        expected = std::clamp<int32_t>(expected, params_.clamp_min(),
                                       params_.clamp_max());
      }
      EXPECT_EQ(expected, At(dst_, r, c)) << "row " << r << ", column " << c;
    }
  }

  const std::vector<Lhs> lhs_data_;
  const std::vector<Rhs> rhs_data_;
  std::vector<Dst> dst_data_;
  const std::vector<Accumulator> bias_;
  std::vector<int32_t> multipliers_;
  std::vector<int> exponents_;
  ruy::Matrix<Lhs> lhs_;
  ruy::Matrix<Rhs> rhs_;
  ruy::Matrix<Dst> dst_;
  ruy::MulParams<Accumulator, Dst> params_;
};

// Sizes at the borders of vectors, panels, tiles and blocks.
int Size(std::mt19937* random) {
  constexpr int kSizes[] = {1,  2,  3,  4,  5,  7,  8, 15,
                            16, 17, 31, 32, 33, 48, 50};
  return kSizes[(*random)() % std::size(kSizes)];
}

template <typename Types>
class MulTest : public testing::Test {};

template <typename L, typename R, typename A, typename D>
struct Types {
  using Product = Case<L, R, A, D>;
};
using AllTypes = testing::Types<Types<float, float, float, float>,
                                Types<int8_t, int8_t, int32_t, int8_t>,
                                Types<uint8_t, uint8_t, int32_t, uint8_t>,
                                Types<int8_t, int8_t, int32_t, int16_t>,
                                Types<uint8_t, uint8_t, int32_t, int16_t>,
                                Types<int8_t, int16_t, int32_t, int16_t>,
                                Types<int16_t, int8_t, int32_t, int16_t>,
                                Types<int8_t, int8_t, int32_t, int32_t>,
                                Types<uint8_t, uint8_t, int32_t, int32_t>>;
TYPED_TEST_SUITE(MulTest, AllTypes);

TYPED_TEST(MulTest, EqualsItsDefinition) {
  for (uint32_t i = 0; i < 300; i++) {
    std::mt19937 random(1000 * Seed() + i);
    const int rows = Size(&random);
    const int cols = Size(&random);
    const int depth = i % 10 == 0 ? 257 + random() % 300 : Size(&random);
    typename TypeParam::Product product(&random, rows, cols, depth);
    for (const tflite_sparse_kernels* kernels : UsableKernels()) {
      SCOPED_TRACE("TFLITE_SPARSE_SEED=" + std::to_string(Seed()) + ", case " +
                   std::to_string(i) + ": " + std::to_string(rows) + " x " +
                   std::to_string(depth) + " x " + std::to_string(cols) +
                   ", kernels of " + std::to_string(kernels->lanes) + " lanes");
      product.Check(*kernels, 1);
      if (this->HasFailure()) {
        return;
      }
    }
  }
}

TYPED_TEST(MulTest, ThreadsChangeNothing) {
  std::mt19937 random(Seed());
  for (const auto& [rows, cols] :
       {std::pair(100, 200), std::pair(3, 700), std::pair(700, 1)}) {
    typename TypeParam::Product product(&random, rows, cols, 300);
    const tflite_sparse_kernels& kernels = *UsableKernels().back();
    product.Check(kernels, 1);
    const auto alone = product.result();
    for (const int threads : {2, 3, 8}) {
      product.Check(kernels, threads);
      EXPECT_EQ(alone, product.result()) << threads << " threads";
    }
  }
}

TYPED_TEST(MulTest, WithoutDepthIsTheBias) {
  std::mt19937 random(Seed());
  typename TypeParam::Product product(&random, 20, 20, 0);
  product.Check(*UsableKernels().back(), 1);
}

TYPED_TEST(MulTest, EmptyResultsAreLeftAlone) {
  std::mt19937 random(Seed());
  typename TypeParam::Product(&random, 0, 20, 5)
      .Check(*UsableKernels().back(), 2);
  typename TypeParam::Product(&random, 20, 0, 5)
      .Check(*UsableKernels().back(), 2);
}

TEST(ThreadPoolTest, RunsEachTaskOnce) {
  struct Count : ruy::Task {
    void Run() override { runs++; }
    int runs = 0;
  };
  ruy::Context context;
  for (const int count : {1, 2, 5, 3}) {
    std::vector<Count> tasks(count);
    context.mutable_thread_pool()->Execute(count, tasks.data());
    for (const Count& task : tasks) {
      EXPECT_EQ(task.runs, 1);
    }
  }
}

TEST(ThreadPoolTest, ThrowsWhatATaskThrows) {
  struct Failure : ruy::Task {
    void Run() override {
      if (fails) {
        throw std::runtime_error("expected");
      }
    }
    bool fails = false;
  };
  ruy::Context context;
  for (const size_t count : {1, 5}) {
    for (size_t failing = 0; failing < count; failing++) {
      std::vector<Failure> tasks(count);
      tasks[failing].fails = true;
      EXPECT_THROW(
          context.mutable_thread_pool()->Execute(tasks.size(), tasks.data()),
          std::runtime_error);
    }
  }
}

}  // namespace
