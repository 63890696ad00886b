// LiteRT's structures for accelerators, as far as they are used here.
//
// They are LiteRT's internal convention between a runtime and a library with an
// accelerator, the same in ai-edge-litert 2.2 and 2.3 (litert/c/internal/
// litert_accelerator_def.h, litert_runtime_context.h). Before 2.2 the first
// field was an int; those runtimes refuse this definition.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_LITERT_ABI_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_LITERT_ABI_H_

#include <cstddef>
#include <cstdint>

struct TfLiteDelegate;

namespace tflite_sparse::litert {

enum Status : int {
  kOk = 0,
  kInvalidArgument = 1,
  kRuntimeFailure = 3,
  kUnsupported = 5,
};

// Bits of a set of hardware.
constexpr int kCpu = 1;

struct AbiHeader {
  uint16_t struct_size;
  uint16_t major;
  uint16_t minor;
  uint16_t reserved;
};

struct Version {
  int major;
  int minor;
  int patch;
};

// The functions that a runtime offers to an accelerator. It has grown at its
// end from version to version.
struct RuntimeContext {
  AbiHeader abi;
  void* unused[17];
  Status (*wrap_delegate)(TfLiteDelegate* delegate,
                          void (*destroy)(TfLiteDelegate*), void** wrapper);
};
static_assert(offsetof(RuntimeContext, wrap_delegate) == 144);

struct BufferHandlers {
  AbiHeader abi;
  void* functions[6];
  int device_tag;
  int queue_tag;
  size_t num_types;
  int types[16];
};
static_assert(sizeof(BufferHandlers) == 136);

using GetName = Status(const void* accelerator, const char** name);
using GetVersion = Status(const void* accelerator, Version* version);
using GetHardware = Status(const void* accelerator, int* hardware);
using CompilesItself = Status(const void* accelerator, bool* does);
using CreateDelegate = Status(RuntimeContext* context, void* environment,
                              const void* accelerator, void* options,
                              void** wrapper);

struct AcceleratorDefinition {
  AbiHeader abi;
  GetName* get_name;
  GetVersion* get_version;
  GetHardware* get_hardware;
  CompilesItself* compiles_itself;
  CreateDelegate* create_delegate;
  void* metrics[2];
  BufferHandlers buffers;
};
static_assert(sizeof(AcceleratorDefinition) == 200);

}  // namespace tflite_sparse::litert

// The symbol that a runtime looks up in the library of an accelerator.
extern "C" const tflite_sparse::litert::AcceleratorDefinition
    LiteRtAcceleratorImpl;

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_LITERT_ABI_H_
