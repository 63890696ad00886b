#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_PROFILER_PROFILER_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_PROFILER_PROFILER_H_

#include "ruy/profiler/instrumentation.h"

namespace ruy {
namespace profiler {

// What benchmark_model opens around its runs to print a profile; there is none.
class ScopeProfile {};

}  // namespace profiler
}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_PROFILER_PROFILER_H_
