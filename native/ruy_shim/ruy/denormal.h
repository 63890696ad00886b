#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_DENORMAL_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_DENORMAL_H_

#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ruy {

// While it lives, the calling thread takes denormal floats for zeros.
class ScopedSuppressDenormals {
 public:
  ScopedSuppressDenormals() : saved_(Get()) { Set(saved_ | kSuppress); }
  ~ScopedSuppressDenormals() { Set(saved_); }
  ScopedSuppressDenormals(const ScopedSuppressDenormals&) = delete;
  ScopedSuppressDenormals& operator=(const ScopedSuppressDenormals&) = delete;

 private:
#if defined(__x86_64__)
  // Flush-to-zero and denormals-are-zero.
  static constexpr std::uint64_t kSuppress = 0x8040;
  static std::uint64_t Get() { return _mm_getcsr(); }
  static void Set(std::uint64_t value) {
    _mm_setcsr(static_cast<unsigned>(value));
  }
#elif defined(__aarch64__)
  // FZ and FZ16.
  static constexpr std::uint64_t kSuppress = 0x1080000;
  static std::uint64_t Get() {
    std::uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void Set(std::uint64_t value) {
    asm volatile("msr fpcr, %0" : : "r"(value));
  }
#endif

  const std::uint64_t saved_;
};

}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_DENORMAL_H_
