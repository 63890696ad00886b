#include "native/ruy_shim/product.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "native/ruy_shim/kernels.h"
#if defined(__x86_64__)
#include "cpuinfo.h"
#endif

namespace tflite_sparse {

using Kernels = tflite_sparse_kernels;

namespace {

// Columns that are computed together with one panel.
constexpr int kBlock = 48;
// A product of fewer rows or columns than this is dot products.
constexpr int kFew = 4;
// Multiplications that are worth waking another thread.
constexpr double kWorkOfAThread = 1 << 16;

size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// What differs between the products of floats and of integers. Element is what
// is multiplied, kStep how many steps of the depth are one of the kernel's.
struct FloatMath {
  using Element = float;
  using Sum = float;
  static constexpr int kStep = 1;

  // Whether the kernels read the matrix where it is.
  static bool IsReady(const ProductMatrix& matrix) {
    return matrix.inner_step == 1;
  }

  // `count` elements of vector v from k on, as the kernels want them.
  static void Read(const Kernels&, const ProductMatrix& matrix, int v, int k,
                   int count, float* out) {
    const float* const in = static_cast<const float*>(matrix.data) +
                            v * matrix.step + k * matrix.inner_step;
    if (matrix.inner_step == 1) {
      memcpy(out, in, count * sizeof(float));
      return;
    }
    for (int i = 0; i < count; i++) {
      out[i] = in[i * matrix.inner_step];
    }
  }

  static void Tile(const Kernels& kernels, int depth, const float* panel,
                   size_t vectors, const float* columns, ptrdiff_t step,
                   size_t cols, float* sums) {
    kernels.float_tile(depth, panel, vectors, columns, step, cols, sums);
  }

  static void Dots(const Kernels& kernels, int depth, const float* one,
                   const ProductMatrix& others, int first, size_t count,
                   float* sums) {
    kernels.float_dots(
        depth, one,
        static_cast<const float*>(others.data) + first * others.step,
        others.step, count, sums);
  }
};

struct IntMath {
  using Element = int16_t;
  using Sum = int32_t;
  static constexpr int kStep = 2;

  static bool IsReady(const ProductMatrix&) { return false; }

  static void Read(const Kernels& kernels, const ProductMatrix& matrix, int v,
                   int k, int count, int16_t* out) {
    switch (matrix.type) {
      case ScalarType::kInt8:
        return ReadAs<int8_t>(kernels.widen_int8, matrix, v, k, count, out);
      case ScalarType::kUint8:
        return ReadAs<uint8_t>(kernels.widen_uint8, matrix, v, k, count, out);
      default:
        return ReadAs<int16_t>(kernels.widen_int16, matrix, v, k, count, out);
    }
  }

  template <typename Scalar, typename Widen>
  static void ReadAs(Widen widen, const ProductMatrix& matrix, int v, int k,
                     int count, int16_t* out) {
    const Scalar* const in = static_cast<const Scalar*>(matrix.data) +
                             v * matrix.step + k * matrix.inner_step;
    if (matrix.inner_step == 1) {
      widen(count, in, matrix.zero_point, out);
      return;
    }
    for (int i = 0; i < count; i++) {
      out[i] =
          static_cast<int16_t>(in[i * matrix.inner_step] - matrix.zero_point);
    }
  }

  static void Tile(const Kernels& kernels, int depth, const int16_t* panel,
                   size_t vectors, const int16_t* columns, ptrdiff_t step,
                   size_t cols, int32_t* sums) {
    kernels.int_tile(depth / 2, panel, vectors, columns, step, cols, sums);
  }

  static void Dots(const Kernels& kernels, int depth, const int16_t* one,
                   const ProductMatrix& others, int first, size_t count,
                   int32_t* sums) {
    const ptrdiff_t start = first * others.step;
    switch (others.type) {
      case ScalarType::kInt8:
        return kernels.int8_dots(
            depth, one, static_cast<const int8_t*>(others.data) + start,
            others.step, count, others.zero_point, sums);
      case ScalarType::kUint8:
        return kernels.uint8_dots(
            depth, one, static_cast<const uint8_t*>(others.data) + start,
            others.step, count, others.zero_point, sums);
      default:
        return kernels.int16_dots(
            depth, one, static_cast<const int16_t*>(others.data) + start,
            others.step, count, others.zero_point, sums);
    }
  }
};

template <typename Scalar>
void Store(const ProductMatrix& dst, int row, int col, int rows, int cols,
           size_t column_sums, const void* sums) {
  using Sum = std::conditional_t<std::is_same_v<Scalar, float>, float, int32_t>;
  for (int c = 0; c < cols; c++) {
    const Sum* const in = static_cast<const Sum*>(sums) + c * column_sums;
    Scalar* const out = static_cast<Scalar*>(dst.data) + row * dst.step +
                        (col + c) * dst.inner_step;
    if (dst.step == 1) {
      for (int r = 0; r < rows; r++) {
        out[r] = static_cast<Scalar>(in[r]);
      }
    } else {
      for (int r = 0; r < rows; r++) {
        out[r * dst.step] = static_cast<Scalar>(in[r]);
      }
    }
  }
}

template <typename Math>
class Multiplication {
 public:
  using Element = typename Math::Element;
  using Sum = typename Math::Sum;

  Multiplication(const Product& product, const Kernels& kernels,
                 ruy::Context* context)
      : product_(product),
        kernels_(kernels),
        context_(context),
        threads_(static_cast<int>(std::clamp(
            static_cast<double>(product.rows) * product.cols * product.depth /
                kWorkOfAThread,
            1.0, std::max(1.0, double(context->max_num_threads()))))),
        vectors_(static_cast<size_t>(product.rows) > kernels.lanes ? 2 : 1),
        panel_rows_(static_cast<int>(vectors_ * kernels.lanes)),
        panels_((product.rows + panel_rows_ - 1) / panel_rows_),
        blocks_((product.cols + kBlock - 1) / kBlock),
        depth_(static_cast<int>(RoundUp(product.depth, Math::kStep))) {}

  void Run() {
    // The vectors of the smaller side, each multiplied with all of the other.
    const bool few_rows = product_.rows < product_.cols;
    const ProductMatrix& many = few_rows ? product_.rhs : product_.lhs;
    if (std::min(product_.rows, product_.cols) < kFew && many.inner_step == 1) {
      dots_ = true;
      few_rows_ = few_rows;
      columns_ = Copy(few_rows ? product_.lhs : product_.rhs,
                      few_rows ? product_.rows : product_.cols, 0);
    } else {
      const size_t panel_bytes = sizeof(Element) * panels_ * PanelSize();
      panel_data_ = static_cast<Element*>(context_->Scratch(
          panel_bytes +
          (Math::IsReady(product_.rhs) ? 0 : ColumnBytes(product_.cols))));
      ForEach<&Multiplication::PackPanel>(panels_);
      columns_ = Copy(product_.rhs, product_.cols, panel_bytes);
    }
    ForEach<&Multiplication::Compute>(panels_ * blocks_);
  }

 private:
  template <void (Multiplication::*method)(int)>
  void ForEach(int count) {
    context_->mutable_thread_pool()->ForEach(
        count, threads_,
        [](void* self, size_t i) {
          (static_cast<Multiplication*>(self)->*method)(static_cast<int>(i));
        },
        this);
  }

  size_t PanelSize() const { return static_cast<size_t>(panel_rows_) * depth_; }

  size_t ColumnBytes(int count) const {
    return sizeof(Element) * count * depth_;
  }

  // Vectors that the kernels read: the matrix's own, or a copy at `offset` of
  // the scratch memory.
  const Element* Copy(const ProductMatrix& matrix, int count, size_t offset) {
    if (Math::IsReady(matrix)) {
      column_step_ = matrix.step;
      return static_cast<const Element*>(matrix.data);
    }
    column_step_ = depth_;
    copied_ = &matrix;
    copied_count_ = count;
    copy_ = reinterpret_cast<Element*>(
        static_cast<char*>(context_->Scratch(offset + ColumnBytes(count))) +
        offset);
    ForEach<&Multiplication::CopyBlock>((count + kBlock - 1) / kBlock);
    return copy_;
  }

  void CopyBlock(int block) {
    const int end = std::min(copied_count_, (block + 1) * kBlock);
    for (int v = block * kBlock; v < end; v++) {
      Element* const out = copy_ + static_cast<size_t>(v) * depth_;
      Math::Read(kernels_, *copied_, v, 0, product_.depth, out);
      std::fill(out + product_.depth, out + depth_, Element(0));
    }
  }

  // Rows of the left factor, side by side: four by four of the kernel's steps,
  // each 32 bits, change places.
  void PackPanel(int panel) {
    constexpr int kChunk = 256;
    alignas(64) Element rows[4][kChunk];
    const int first = panel * panel_rows_;
    uint32_t* const out =
        reinterpret_cast<uint32_t*>(panel_data_ + panel * PanelSize());
    for (int r = 0; r < panel_rows_; r += 4) {
      for (int k = 0; k < depth_; k += kChunk) {
        const int count = std::min(kChunk, depth_ - k);
        for (int i = 0; i < 4; i++) {
          int read = 0;
          if (first + r + i < product_.rows) {
            read = std::min(count, product_.depth - k);
            Math::Read(kernels_, product_.lhs, first + r + i, k, read, rows[i]);
          }
          std::fill(rows[i] + read, rows[i] + kChunk, Element(0));
        }
        Transpose(rows, count / Math::kStep,
                  out + static_cast<size_t>(k / Math::kStep) * panel_rows_ + r);
      }
    }
  }

  template <typename Rows>
  void Transpose(const Rows& rows, int steps, uint32_t* out) const {
    typedef uint32_t Four __attribute__((vector_size(16), aligned(4)));
    for (int k = 0; k < steps; k += 4) {
      Four in[4];
      for (int i = 0; i < 4; i++) {
        memcpy(&in[i], &rows[i][k * Math::kStep], sizeof(Four));
      }
      const Four a = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
      const Four b = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
      const Four c = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
      const Four d = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
      const Four turned[4] = {
          __builtin_shufflevector(a, b, 0, 1, 4, 5),
          __builtin_shufflevector(a, b, 2, 3, 6, 7),
          __builtin_shufflevector(c, d, 0, 1, 4, 5),
          __builtin_shufflevector(c, d, 2, 3, 6, 7),
      };
      for (int i = 0; i < std::min(4, steps - k); i++) {
        memcpy(out, &turned[i], sizeof(Four));
        out += panel_rows_;
      }
    }
  }

  void Compute(int item) {
    const int row = item % panels_ * panel_rows_;
    const int col = item / panels_ * kBlock;
    const int rows = std::min(panel_rows_, product_.rows - row);
    const int cols = std::min(kBlock, product_.cols - col);
    alignas(64) Sum sums[kBlock * kMaxPanelRows];
    if (dots_) {
      Dots(row, col, rows, cols, sums);
    } else {
      const Element* const panel = panel_data_ + item % panels_ * PanelSize();
      for (int c = 0; c < cols; c += static_cast<int>(kernels_.cols)) {
        Math::Tile(kernels_, depth_, panel, vectors_,
                   columns_ + (col + c) * column_step_, column_step_,
                   std::min<size_t>(kernels_.cols, cols - c),
                   sums + c * panel_rows_);
      }
    }
    Finish(row, rows, cols, sums);
    switch (product_.dst.type) {
      case ScalarType::kFloat:
        return Store<float>(product_.dst, row, col, rows, cols, panel_rows_,
                            sums);
      case ScalarType::kInt8:
        return Store<int8_t>(product_.dst, row, col, rows, cols, panel_rows_,
                             sums);
      case ScalarType::kUint8:
        return Store<uint8_t>(product_.dst, row, col, rows, cols, panel_rows_,
                              sums);
      case ScalarType::kInt16:
        return Store<int16_t>(product_.dst, row, col, rows, cols, panel_rows_,
                              sums);
      case ScalarType::kInt32:
        return Store<int32_t>(product_.dst, row, col, rows, cols, panel_rows_,
                              sums);
    }
  }

  void Dots(int row, int col, int rows, int cols, Sum* sums) {
    // Rows that a panel lacks are finished as well.
    std::fill_n(sums, static_cast<size_t>(cols) * panel_rows_, Sum(0));
    Sum found[kMaxDots];
    const int few = few_rows_ ? rows : cols;
    const int many = few_rows_ ? cols : rows;
    for (int f = 0; f < few; f++) {
      const Element* const one =
          columns_ + ((few_rows_ ? row : col) + f) * column_step_;
      for (int m = 0; m < many; m += kMaxDots) {
        const int count = std::min<int>(kMaxDots, many - m);
        Math::Dots(kernels_, product_.depth, one,
                   few_rows_ ? product_.rhs : product_.lhs,
                   (few_rows_ ? col : row) + m, count, found);
        for (int i = 0; i < count; i++) {
          sums[few_rows_ ? (m + i) * panel_rows_ + f
                         : f * panel_rows_ + m + i] = found[i];
        }
      }
    }
  }

  void Finish(int row, int rows, int cols, Sum* sums) {
    Sum bias[kMaxPanelRows] = {};
    if (product_.bias != nullptr) {
      std::copy_n(static_cast<const Sum*>(product_.bias) + row, rows, bias);
    }
    if constexpr (std::is_same_v<Sum, float>) {
      kernels_.float_results(panel_rows_, cols, bias, product_.float_min,
                             product_.float_max, sums);
    } else {
      tflite_sparse_scale scale = {};
      for (int r = 0; product_.scaled && r < rows; r++) {
        const ptrdiff_t from = (row + r) * product_.multiplier_step;
        const int exponent = product_.exponents[from];
        scale.multiplier[r] = product_.multipliers[from];
        scale.left[r] = std::max(exponent, 0);
        scale.right[r] = std::max(-exponent, 0);
      }
      kernels_.int_results(
          panel_rows_, cols, bias, product_.scaled ? &scale : nullptr,
          product_.dst.zero_point, product_.min, product_.max, sums);
    }
  }

  const Product& product_;
  const Kernels& kernels_;
  ruy::Context* const context_;
  const int threads_;
  const size_t vectors_;
  const int panel_rows_;
  const int panels_;
  const int blocks_;
  const int depth_;
  bool dots_ = false;
  bool few_rows_ = false;
  Element* panel_data_ = nullptr;
  const Element* columns_ = nullptr;
  ptrdiff_t column_step_ = 0;
  const ProductMatrix* copied_ = nullptr;
  int copied_count_ = 0;
  Element* copy_ = nullptr;
};

}  // namespace

const std::vector<const Kernels*>& UsableKernels() {
  static const std::vector<const Kernels*>& usable =
      []() -> const std::vector<const Kernels*>& {
    auto* const found = new std::vector<const Kernels*>;
#if defined(__x86_64__)
    found->push_back(&tflite_sparse_kernels_sse2);
    const bool known = cpuinfo_initialize();
    if (known && cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3()) {
      found->push_back(&tflite_sparse_kernels_avx2);
    }
    if (known && cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512bw() &&
        cpuinfo_has_x86_avx512dq() && cpuinfo_has_x86_avx512vl()) {
      found->push_back(&tflite_sparse_kernels_avx512);
    }
#else
    found->push_back(&tflite_sparse_kernels_neon);
#endif
    return *found;
  }();
  return usable;
}

void Multiply(const Product& product, const Kernels& kernels,
              ruy::Context* context) {
  if (product.rows == 0 || product.cols == 0) {
    return;
  }
  if (product.dst.type == ScalarType::kFloat) {
    Multiplication<FloatMath>(product, kernels, context).Run();
  } else {
    Multiplication<IntMath>(product, kernels, context).Run();
  }
}

}  // namespace tflite_sparse
