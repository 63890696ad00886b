// The exported functions: see tflite_sparse.h.

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "native/delegate/node_order.h"
#include "native/delegate/options.h"
#include "native/delegate/session.h"
#include "native/delegate/tflite_sparse.h"
#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"

namespace {

// The delegates that live, so that a pointer to anything else is refused
// rather than followed.
struct Registry {
  std::mutex mutex;
  std::map<const TfLiteDelegate*, std::unique_ptr<tflite_sparse::Session>>
      sessions;
};

Registry& Delegates() {
  // Never destroyed: interpreters may outlive static objects at exit.
  static Registry* const registry = new Registry;
  return *registry;
}

TfLiteXNNPackDelegateOptions Upstream(const tflite_sparse::Options& options,
                                      tflite_sparse::Session* session) {
  TfLiteXNNPackDelegateOptions upstream = TfLiteXNNPackDelegateOptionsDefault();
  upstream.num_threads = options.num_threads;
  upstream.flags |= options.int8 ? TFLITE_XNNPACK_DELEGATE_FLAG_QS8 |
                                       TFLITE_XNNPACK_DELEGATE_FLAG_QU8
                                 : 0;
  upstream.observer = session;
  return upstream;
}

// That of all of upstream's delegates.
std::atomic<TfLiteStatus (*)(TfLiteContext*, TfLiteDelegate*)> upstream_prepare;

TfLiteStatus PrepareOrdered(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan = nullptr;
  TF_LITE_ENSURE_STATUS(context->GetExecutionPlan(context, &plan));
  const std::string error = tflite_sparse::NodeOrderError(
      *context, plan->data, plan->size, [context](int index) {
        TfLiteNode* node = nullptr;
        TfLiteRegistration* registration = nullptr;
        context->GetNodeAndRegistration(context, index, &node, &registration);
        return node;
      });
  if (!error.empty()) {
    context->ReportError(context, "tflite-sparse: %s.", error.c_str());
    return kTfLiteError;
  }
  return upstream_prepare.load()(context, delegate);
}

}  // namespace

extern "C" {

TfLiteDelegate* tflite_plugin_create_delegate(
    char** options_keys, char** options_values, size_t num_options,
    void (*report_error)(const char*)) {
  const auto fail = [report_error](const std::string& message) {
    if (report_error != nullptr) {
      report_error(message.c_str());
    }
    return nullptr;
  };
  tflite_sparse::Options options;
  const std::string error = tflite_sparse::ParseOptions(
      options_keys, options_values, num_options, &options);
  if (!error.empty()) {
    return fail(error);
  }
  auto session = std::make_unique<tflite_sparse::Session>(options);
  const TfLiteXNNPackDelegateOptions upstream =
      Upstream(options, session.get());
  TfLiteDelegate* delegate = TfLiteXNNPackDelegateCreate(&upstream);
  if (delegate == nullptr) {
    return fail(
        "tflite-sparse: XNNPACK did not start: this CPU lacks what it needs "
        "(SSE2 on x86-64, NEON on aarch64), or memory ran out.");
  }
  const std::lock_guard<std::mutex> lock(Delegates().mutex);
  upstream_prepare = delegate->Prepare;
  delegate->Prepare = PrepareOrdered;
  Delegates().sessions[delegate] = std::move(session);
  return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  std::unique_ptr<tflite_sparse::Session> session;
  {
    const std::lock_guard<std::mutex> lock(Delegates().mutex);
    const auto found = Delegates().sessions.find(delegate);
    if (found == Delegates().sessions.end()) {
      return;
    }
    session = std::move(found->second);
    Delegates().sessions.erase(found);
  }
  TfLiteXNNPackDelegateDelete(delegate);
}

const char* tflite_sparse_version(void) { return TFLITE_SPARSE_VERSION; }

char* tflite_sparse_report(TfLiteDelegate* delegate) {
  const std::lock_guard<std::mutex> lock(Delegates().mutex);
  const auto found = Delegates().sessions.find(delegate);
  if (found == Delegates().sessions.end()) {
    return nullptr;
  }
  return strdup(found->second->Report().c_str());
}

void tflite_sparse_free(char* report) { free(report); }

}  // extern "C"
