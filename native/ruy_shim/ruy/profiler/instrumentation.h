#ifndef TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_PROFILER_INSTRUMENTATION_H_
#define TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_PROFILER_INSTRUMENTATION_H_

namespace ruy {
namespace profiler {

// TFLite's kernels label their scopes for ruy's profiler, which is not here.
class ScopeLabel {
 public:
  template <typename... Parts>
  explicit ScopeLabel(Parts...) {}
};

}  // namespace profiler
}  // namespace ruy

#endif  // TFLITE_SPARSE_NATIVE_RUY_SHIM_RUY_PROFILER_INSTRUMENTATION_H_
