#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_CONTEXT_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_CONTEXT_H_

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "ruy/thread_pool.h"

namespace ruy {

// What the products of one interpreter share: threads, and memory that grows to
// what the largest needs.
class Context {
 public:
  int max_num_threads() const { return max_num_threads_; }
  void set_max_num_threads(int count) { max_num_threads_ = count; }
  ThreadPool* mutable_thread_pool() { return &thread_pool_; }
  // No packed matrix is kept.
  void ClearPrepackedCache() {}

  // At least `bytes` bytes, aligned for every instruction set, whose content is
  // undefined; the one before is gone. Ends the process when there are none.
  void* Scratch(std::size_t bytes) {
    if (bytes > scratch_bytes_) {
      constexpr std::size_t kAlignment = 64;
      scratch_bytes_ = (bytes + kAlignment - 1) / kAlignment * kAlignment;
      scratch_.reset(std::aligned_alloc(kAlignment, scratch_bytes_));
      if (scratch_ == nullptr) {
        std::abort();
      }
    }
    return scratch_.get();
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  int max_num_threads_ = 1;
  ThreadPool thread_pool_;
  std::size_t scratch_bytes_ = 0;
  std::unique_ptr<void, Free> scratch_;
};

}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_CONTEXT_H_
