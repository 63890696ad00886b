// Registers the accelerator with an environment of libLiteRt.so.

#include <dlfcn.h>

#include <string>

#include "native/delegate/litert/abi.h"
#include "native/delegate/litert/tflite_sparse_litert.h"

namespace tflite_sparse::litert {
namespace {

// The functions of LiteRT's C interface that registering takes. The library is
// not linked against LiteRT, which most of its users do not have.
class Runtime {
 public:
  explicit Runtime(void* library)
      : library_(library == nullptr ? RTLD_DEFAULT : library) {}

  // Calls a function of LiteRT; false, with error() set, if it is not there or
  // fails.
  template <typename... Arguments>
  bool Call(const char* name, Arguments... arguments) {
    const auto function =
        reinterpret_cast<Status (*)(Arguments...)>(dlsym(library_, name));
    if (function == nullptr) {
      error_ = std::string("tflite-sparse: LiteRT's function ") + name +
               " was not found; link the program against libLiteRt.so of "
               "ai-edge-litert 2.2 or 2.3, or pass what dlopen() returned.";
      return false;
    }
    const Status status = function(arguments...);
    if (status != kOk) {
      error_ = std::string("tflite-sparse: LiteRT's ") + name +
               " failed with status " + std::to_string(status) + ".";
      return false;
    }
    return true;
  }

  bool Fail(const std::string& error) {
    error_ = error;
    return false;
  }

  const std::string& error() const { return error_; }

 private:
  void* const library_;
  std::string error_;
};

// An accelerator for the CPU that is there already would be asked first.
bool CheckNoCpu(Runtime& runtime, LiteRtEnvironmentT* environment) {
  size_t count = 0;
  if (!runtime.Call("LiteRtGetNumAccelerators", environment, &count)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    void* accelerator = nullptr;
    int hardware = 0;
    const char* name = nullptr;
    if (!runtime.Call("LiteRtGetAccelerator", environment, i, &accelerator) ||
        !runtime.Call("LiteRtGetAcceleratorHardwareSupport", accelerator,
                      &hardware) ||
        !runtime.Call("LiteRtGetAcceleratorName", accelerator, &name)) {
      return false;
    }
    if (hardware & kCpu) {
      return runtime.Fail(
          std::string("tflite-sparse: the environment has the accelerator ") +
          name +
          " for the CPU, which would take the whole model; create it with the "
          "option AutoRegisterAccelerators (24) at 0, and register once.");
    }
  }
  return true;
}

bool Register(Runtime& runtime, LiteRtEnvironmentT* environment) {
  void* accelerator = nullptr;
  if (!CheckNoCpu(runtime, environment) ||
      !runtime.Call("LiteRtCreateAccelerator", &accelerator)) {
    return false;
  }
  const AcceleratorDefinition& ours = LiteRtAcceleratorImpl;
  if (!runtime.Call("LiteRtSetAcceleratorGetName", accelerator,
                    ours.get_name) ||
      !runtime.Call("LiteRtSetAcceleratorGetVersion", accelerator,
                    ours.get_version) ||
      !runtime.Call("LiteRtSetAcceleratorGetHardwareSupport", accelerator,
                    ours.get_hardware) ||
      !runtime.Call(
          "LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation",
          accelerator, ours.compiles_itself) ||
      !runtime.Call("LiteRtSetDelegateFunction", accelerator,
                    ours.create_delegate)) {
    const std::string error = runtime.error();
    runtime.Call("LiteRtDestroyAccelerator", accelerator);
    return runtime.Fail(error);
  }
  // Releases the accelerator itself where it fails.
  return runtime.Call("LiteRtRegisterAccelerator", environment, accelerator,
                      static_cast<void*>(nullptr),
                      static_cast<void (*)(void*)>(nullptr));
}

}  // namespace
}  // namespace tflite_sparse::litert

extern "C" int tflite_sparse_litert_register(
    LiteRtEnvironmentT* environment, void* litert,
    void (*report_error)(const char*)) {
  tflite_sparse::litert::Runtime runtime(litert);
  if (tflite_sparse::litert::Register(runtime, environment)) {
    return tflite_sparse::litert::kOk;
  }
  if (report_error != nullptr) {
    report_error(runtime.error().c_str());
  }
  return tflite_sparse::litert::kRuntimeFailure;
}
