#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_THREAD_POOL_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_THREAD_POOL_H_

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>

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
  // at most `threads` threads, and returns when all have run. What one of them
  // throws, this throws.
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
    Job job{function, argument};
    // What the calling thread takes for zero, the others do as well. Without
    // memory for a pool, this thread does the work.
    pthreadpool_parallelize_1d(
        pool_.get(),
        [](void* whole, std::size_t i) { static_cast<Job*>(whole)->Run(i); },
        &job, count, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    if (job.error != nullptr) {
      std::rethrow_exception(job.error);
    }
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
  // The threads are of a library in C, through which nothing can be thrown.
  struct Job {
    void Run(std::size_t i) noexcept {
      try {
        function(argument, i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        error = std::current_exception();
      }
    }

    void (*const function)(void*, std::size_t);
    void* const argument;
    std::mutex mutex = {};
    std::exception_ptr error = {};
  };

  struct Destroy {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
  };
  std::unique_ptr<pthreadpool, Destroy> pool_;
};

}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_THREAD_POOL_H_
