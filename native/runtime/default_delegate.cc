// TFLite asks MaybeCreateXNNPACKDelegate for its default delegate, and
// CreateOpResolver for the operations of the C API's interpreters: here both
// are ours.

#include "native/runtime/default_delegate.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "native/delegate/options.h"
#include "native/delegate/tflite_sparse.h"
#include "native/runtime/checked_operations.h"
#include "tensorflow/lite/core/create_op_resolver.h"
#include "tensorflow/lite/core/kernels/register.h"
#include "tensorflow/lite/minimal_logging.h"
#include "tensorflow/lite/tflite_with_xnnpack_optional.h"

namespace tflite_sparse {
namespace {

struct Variable {
  const char* name;
  const char* option;
};

constexpr char kThreadsVariable[] = "TFLITE_SPARSE_NUM_THREADS";
constexpr Variable kVariables[] = {
    {"TFLITE_SPARSE_MODE", "mode"},
    {"TFLITE_SPARSE_SKIP_ZEROS", "skip_zeros"},
    {"TFLITE_SPARSE_INT8", "int8"},
    {"TFLITE_SPARSE_PROFILE", "profile"},
    {kThreadsVariable, "num_threads"},
};
constexpr char kReportVariable[] = "TFLITE_SPARSE_REPORT";

// The delegate as the interpreter owns it, around the plug-in's.
class DefaultDelegate : public TfLiteDelegate {
 public:
  DefaultDelegate(const TfLiteContext* context, TfLiteDelegate* plugin)
      : TfLiteDelegate(TfLiteDelegateCreate()),
        context_(context),
        plugin_(plugin) {
    data_ = this;
    Prepare = PrepareThis;
    flags = plugin->flags;
  }

  ~DefaultDelegate() {
    AppendReport();
    tflite_plugin_destroy_delegate(plugin_);
  }

  const TfLiteContext* context() const { return context_; }
  char* Report() const { return tflite_sparse_report(plugin_); }

 private:
  static TfLiteStatus PrepareThis(TfLiteContext* context,
                                  TfLiteDelegate* delegate) {
    auto* const self = static_cast<DefaultDelegate*>(delegate->data_);
    if (IsOursAlready(context)) {
      return kTfLiteOk;
    }
    return self->plugin_->Prepare(context, self->plugin_);
  }

  // Whether the program has added a delegate of this library by itself: what
  // that one left, its options left.
  static bool IsOursAlready(TfLiteContext* context) {
    TfLiteIntArray* plan = nullptr;
    if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) {
      return false;
    }
    for (int i = 0; i < plan->size; i++) {
      TfLiteNode* node = nullptr;
      TfLiteRegistration* registration = nullptr;
      if (context->GetNodeAndRegistration(context, plan->data[i], &node,
                                          &registration) != kTfLiteOk ||
          node->delegate == nullptr) {
        continue;
      }
      char* const report = tflite_sparse_report(node->delegate);
      tflite_sparse_free(report);
      if (report != nullptr) {
        return true;
      }
    }
    return false;
  }

  void AppendReport() const {
    const char* const path = getenv(kReportVariable);
    const std::unique_ptr<char, void (*)(char*)> report(Report(),
                                                        tflite_sparse_free);
    if (path == nullptr || report == nullptr) {
      return;
    }
    const bool to_stderr = std::string(path) == "-";
    FILE* const file = to_stderr ? stderr : fopen(path, "a");
    if (file == nullptr) {
      fprintf(stderr, "tflite-sparse: %s names %s, which cannot be written\n",
              kReportVariable, path);
      return;
    }
    fprintf(file, "%s\n", report.get());
    if (!to_stderr) {
      fclose(file);
    }
  }

  const TfLiteContext* const context_;
  TfLiteDelegate* const plugin_;
};

// The default delegates that live.
struct Registry {
  std::mutex mutex;
  std::map<const TfLiteContext*, const DefaultDelegate*> delegates;
};

Registry& Delegates() {
  // Never destroyed: interpreters may outlive static objects at exit.
  static Registry* const registry = new Registry;
  return *registry;
}

void Destroy(TfLiteDelegate* delegate) {
  auto* const self = static_cast<DefaultDelegate*>(delegate->data_);
  {
    Registry& registry = Delegates();
    const std::lock_guard<std::mutex> lock(registry.mutex);
    registry.delegates.erase(self->context());
  }
  delete self;
}

// The options that the environment has, as names and values.
std::vector<std::pair<std::string, std::string>> EnvironmentOptions() {
  std::vector<std::pair<std::string, std::string>> options;
  for (const Variable& variable : kVariables) {
    const char* const value = getenv(variable.name);
    if (value != nullptr) {
      options.emplace_back(variable.option, value);
    }
  }
  return options;
}

TfLiteDelegate* Create(const TfLiteContext* context) {
  std::vector<std::pair<std::string, std::string>> options =
      EnvironmentOptions();
  if (getenv(kThreadsVariable) == nullptr &&
      context->recommended_num_threads > 0) {
    options.emplace_back("num_threads",
                         std::to_string(context->recommended_num_threads));
  }
  std::vector<char*> keys;
  std::vector<char*> values;
  for (auto& [key, value] : options) {
    keys.push_back(key.data());
    values.push_back(value.data());
  }
  TfLiteDelegate* const plugin = tflite_plugin_create_delegate(
      keys.data(), values.data(), keys.size(), [](const char* message) {
        TFLITE_LOG_PROD(tflite::TFLITE_LOG_ERROR, "%s", message);
      });
  if (plugin == nullptr) {
    return nullptr;
  }
  auto* const delegate = new DefaultDelegate(context, plugin);
  Registry& registry = Delegates();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.delegates[context] = delegate;
  return delegate;
}

}  // namespace

std::string EnvironmentError() {
  std::vector<const char*> keys;
  std::vector<const char*> values;
  std::string variables;
  const auto options = EnvironmentOptions();
  for (const auto& [key, value] : options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  for (const Variable& variable : kVariables) {
    if (getenv(variable.name) != nullptr) {
      variables += std::string(variables.empty() ? "" : ", ") + variable.name;
    }
  }
  Options parsed;
  const std::string error =
      ParseOptions(keys.data(), values.data(), keys.size(), &parsed);
  return error.empty() ? "" : error + " The environment has " + variables + ".";
}

char* DefaultDelegateReport(const TfLiteContext* context) {
  Registry& registry = Delegates();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const auto found = registry.delegates.find(context);
  return found == registry.delegates.end() ? nullptr : found->second->Report();
}

}  // namespace tflite_sparse

namespace tflite {

std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)>
MaybeCreateXNNPACKDelegate(TfLiteContext* context, XNNPackQS8Options) {
  return {tflite_sparse::Create(context), tflite_sparse::Destroy};
}

// Without operations no interpreter is made, which is how a program learns that
// the environment is wrong: when a default delegate fails, TFLite goes on
// without.
std::unique_ptr<MutableOpResolver> CreateOpResolver() {
  const std::string error = tflite_sparse::EnvironmentError();
  if (!error.empty()) {
    TFLITE_LOG_PROD(TFLITE_LOG_ERROR, "%s", error.c_str());
    return std::make_unique<MutableOpResolver>();
  }
  return std::make_unique<
      tflite_sparse::CheckedResolver<ops::builtin::BuiltinOpResolver>>();
}

}  // namespace tflite
