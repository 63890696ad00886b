// The accelerator that hands delegates to LiteRT, and what a thread asks of it.

#include <cstdio>
#include <string>
#include <vector>

#include "native/delegate/litert/abi.h"
#include "native/delegate/litert/tflite_sparse_litert.h"
#include "native/delegate/options.h"
#include "native/delegate/tflite_sparse.h"

namespace tflite_sparse::litert {
namespace {

// LiteRT passes an accelerator nothing of ours and compiles in the thread that
// asks for it, so both ways lead through the thread.
struct Compilation {
  std::vector<std::string> keys;
  std::vector<std::string> values;
  TfLiteDelegate* delegate = nullptr;
  std::string error;
};

thread_local Compilation compilation;

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  return pointers;
}

Status Name(const void*, const char** name) {
  *name = "tflite-sparse";
  return kOk;
}

Status OurVersion(const void*, Version* version) {
  return sscanf(TFLITE_SPARSE_VERSION, "%d.%d.%d", &version->major,
                &version->minor, &version->patch) == 3
             ? kOk
             : kRuntimeFailure;
}

Status Hardware(const void*, int* hardware) {
  *hardware = kCpu;
  return kOk;
}

// LiteRT applies an accelerator that is not asked for by name only if this is
// true.
Status Compiles(const void*, bool* does) {
  *does = true;
  return kOk;
}

// Up to 2.1 there is no header but the address of a function, whose upper part
// is where the minor version would be: as a number, a large one.
bool IsKnown(const AbiHeader& abi) {
  return abi.major == 1 && abi.minor < 256 &&
         abi.struct_size >= sizeof(RuntimeContext);
}

Status Create(RuntimeContext* context, void*, const void*, void*,
              void** wrapper) {
  *wrapper = nullptr;
  compilation.delegate = nullptr;
  compilation.error.clear();
  if (!IsKnown(context->abi)) {
    compilation.error =
        "tflite-sparse: this LiteRT's interface for accelerators has the "
        "version " +
        std::to_string(context->abi.major) + " and " +
        std::to_string(context->abi.struct_size) +
        " bytes; expected version 1 with at least " +
        std::to_string(sizeof(RuntimeContext)) +
        ". Use ai-edge-litert 2.2 or 2.3.";
    return kUnsupported;
  }
  std::vector<char*> keys = Pointers(compilation.keys);
  std::vector<char*> values = Pointers(compilation.values);
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(
      keys.data(), values.data(), keys.size(),
      [](const char* error) { compilation.error = error; });
  if (delegate == nullptr) {
    return kRuntimeFailure;
  }
  const Status status =
      context->wrap_delegate(delegate, tflite_plugin_destroy_delegate, wrapper);
  if (status != kOk) {
    tflite_plugin_destroy_delegate(delegate);
    compilation.error = "tflite-sparse: LiteRT refuses the delegate, status " +
                        std::to_string(status) + ".";
    return status;
  }
  compilation.delegate = delegate;
  return kOk;
}

// The tag of an environment's option that is none.
constexpr int kNoTag = 255;

}  // namespace
}  // namespace tflite_sparse::litert

extern "C" {

const tflite_sparse::litert::AcceleratorDefinition LiteRtAcceleratorImpl = {
    {sizeof(tflite_sparse::litert::AcceleratorDefinition), 1, 0, 0},
    tflite_sparse::litert::Name,
    tflite_sparse::litert::OurVersion,
    tflite_sparse::litert::Hardware,
    tflite_sparse::litert::Compiles,
    tflite_sparse::litert::Create,
    {},
    {{sizeof(tflite_sparse::litert::BufferHandlers), 1, 0, 0},
     {},
     tflite_sparse::litert::kNoTag,
     tflite_sparse::litert::kNoTag,
     0,
     {}}};

int tflite_sparse_litert_options(char** keys, char** values, size_t n,
                                 void (*report_error)(const char*)) {
  tflite_sparse::litert::compilation = {};
  tflite_sparse::Options ignored;
  const std::string error =
      tflite_sparse::ParseOptions(keys, values, n, &ignored);
  if (!error.empty()) {
    if (report_error != nullptr) {
      report_error(error.c_str());
    }
    return tflite_sparse::litert::kInvalidArgument;
  }
  tflite_sparse::litert::compilation.keys.assign(keys, keys + n);
  tflite_sparse::litert::compilation.values.assign(values, values + n);
  return tflite_sparse::litert::kOk;
}

TfLiteDelegate* tflite_sparse_litert_delegate(void) {
  return tflite_sparse::litert::compilation.delegate;
}

const char* tflite_sparse_litert_error(void) {
  return tflite_sparse::litert::compilation.error.c_str();
}

}  // extern "C"
