#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_THREAD_POOL_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_THREAD_POOL_H_

#include <cstddef>
#include <memory>

#include "pthreadpool.h"

namespace ruy {

struct Task {
  virtual ~Task() = default;
  virtual void Run() = 0;
};

// Threads that are started when work for several comes first. Not for use by
// two threads at once.
class ThreadPool {
 public:
  // Runs function(argument, 0) ... function(argument, count - 1), each once, on
  // at most `threads` threads, and returns when all have run.
  void ForEach(int count, int threads, void (*function)(void*, std::size_t),
               void* argument) {
    if (count <= 1 || threads <= 1) {
      for (int i = 0; i < count; i++) {
        function(argument, i);
      }
      return;
    }
    const std::size_t wanted = threads;
    if (pool_ == nullptr ||
        pthreadpool_get_threads_count(pool_.get()) != wanted) {
      pool_.reset(pthreadpool_create(wanted));
    }
    // What the calling thread takes for zero, the others do as well. Without
    // memory for a pool, this thread does the work.
    pthreadpool_parallelize_1d(pool_.get(), function, argument, count,
                               PTHREADPOOL_FLAG_DISABLE_DENORMALS);
  }

  // Runs each of an array of tasks, all at once.
  template <typename Derived>
  void Execute(int count, Derived* tasks) {
    ForEach(
        count, count,
        [](void* all, std::size_t i) { static_cast<Derived*>(all)[i].Run(); },
        tasks);
  }

 private:
  struct Destroy {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
  };
  std::unique_ptr<pthreadpool, Destroy> pool_;
};

}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_THREAD_POOL_H_
