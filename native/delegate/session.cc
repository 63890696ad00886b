#include "native/delegate/session.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "native/delegate/json.h"
#include "native/delegate/tflite_sparse.h"
#include "tensorflow/lite/builtin_ops.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite_sparse {
namespace {

// A node that no check refused is left when it unpacks weights for a node that
// was: running it here would not spare the runtime anything.
constexpr char kFeedsALeftNode[] =
    "it unpacks constants for an operator that was not taken";

std::string OperatorName(const TfLiteRegistration& registration) {
  if (registration.builtin_code == kTfLiteBuiltinCustom) {
    return registration.custom_name ? registration.custom_name : "CUSTOM";
  }
  return tflite::EnumNameBuiltinOperator(
      static_cast<tflite::BuiltinOperator>(registration.builtin_code));
}

const char* FormName(xnn_sparsity_mode form) {
  switch (form) {
    case xnn_sparsity_mode_compact:
      return "compact";
    case xnn_sparsity_mode_insert:
      return "insert";
    case xnn_sparsity_mode_off:
      return "off";
  }
  return "";
}

std::string LayerObject(const std::string& name,
                        const xnn_masked_layer& facts) {
  const bool dense = facts.form == xnn_sparsity_mode_off;
  return JsonObject(
      {{"layer", JsonString(name)},
       {"op", JsonString(facts.op == nullptr ? "" : facts.op)},
       {"form", JsonString(dense ? "dense" : FormName(facts.form))},
       {"kept", std::to_string(facts.kept_pixels)},
       {"total", std::to_string(facts.total_pixels)},
       {"macs_dense", std::to_string(facts.macs_dense)},
       {"macs_kept", std::to_string(facts.macs_kept)},
       {"by_choice", facts.is_dense_by_choice ? "true" : "false"},
       {"reason", JsonString(facts.reason)}});
}

const char* FormName(xnn_zero_form form) {
  switch (form) {
    case xnn_zero_form_zeros:
      return "zeros";
    case xnn_zero_form_tiles:
      return "tiles";
    case xnn_zero_form_dense:
      return "dense";
  }
  return "";
}

const char* ModeName(xnn_zeros_mode mode) {
  switch (mode) {
    case xnn_zeros_mode_auto:
      return "auto";
    case xnn_zeros_mode_always:
      return "always";
    case xnn_zeros_mode_never:
      return "never";
  }
  return "";
}

std::string Percent(double share) {
  return std::to_string(std::lround(100 * share)) + "%";
}

std::string WhyNotZeros(const xnn_zero_layer& facts) {
  if (facts.form == xnn_zero_form_zeros) {
    return "";
  }
  if (facts.obstacle != nullptr) {
    return facts.obstacle;
  }
  if (facts.zeros < 0) {
    return "it has not run yet";
  }
  return Percent(facts.last_zeros) +
         " zeros when it last looked; skipping them " +
         (facts.pays_from > 1
              ? "never pays here"
              : "pays from " + Percent(facts.pays_from) + " on");
}

std::string ZeroLayerObject(const std::string& name,
                            const xnn_zero_layer& facts) {
  return JsonObject(
      {{"layer", JsonString(name)},
       {"op", JsonString(facts.op)},
       {"form", JsonString(FormName(facts.form))},
       {"zeros", facts.zeros < 0 ? "null" : JsonNumber(facts.zeros)},
       {"reason", JsonString(WhyNotZeros(facts))}});
}

std::string OutputName(const TfLiteContext& context, const TfLiteNode& node) {
  if (node.outputs == nullptr || node.outputs->size == 0) {
    return "";
  }
  const char* name = context.tensors[node.outputs->data[0]].name;
  return name ? name : "";
}

}  // namespace

void Session::NodeVisitStarted(TfLiteContext* context) {
  why_left_.emplace(context);
}

void Session::NodeVisited(int node_index, bool is_taken) {
  if (!is_taken) {
    const std::lock_guard<std::mutex> lock(mutex_);
    reasons_[node_index] = why_left_->text();
  }
  why_left_.reset();
}

void Session::Partitioned(TfLiteContext* context, const TfLiteIntArray& taken) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::map<int, std::string> reasons = std::exchange(reasons_, {});
  for (const Runtime& known : graphs_[context].runtimes) {
    profile_.Forget(known.runtime);
  }
  Graph& graph = graphs_[context] = Graph();
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) {
    return;
  }
  graph.nodes_total = plan->size;
  graph.nodes_taken = taken.size;
  for (int i = 0; i < plan->size; i++) {
    const int index = plan->data[i];
    if (std::binary_search(taken.data, taken.data + taken.size, index)) {
      continue;
    }
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, index, &node, &registration) !=
        kTfLiteOk) {
      continue;
    }
    const auto reason = reasons.find(index);
    graph.left.push_back(
        {index, OperatorName(*registration), OutputName(*context, *node),
         reason == reasons.end() ? kFeedsALeftNode : reason->second});
  }
}

void Session::SubgraphCreated(xnn_subgraph_t subgraph) {
  for (const xnn_sparsity_mode mode :
       {xnn_sparsity_mode_compact, xnn_sparsity_mode_insert,
        xnn_sparsity_mode_off}) {
    if (options_.mode == FormName(mode)) {
      xnn_subgraph_set_sparsity_mode(subgraph, mode);
    }
  }
  for (const xnn_zeros_mode mode :
       {xnn_zeros_mode_auto, xnn_zeros_mode_always, xnn_zeros_mode_never}) {
    if (options_.skip_zeros == ModeName(mode)) {
      xnn_subgraph_set_zeros_mode(subgraph, mode);
    }
  }
}

void Session::RuntimeCreated(TfLiteContext* context, xnn_runtime_t runtime) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Graph& graph = graphs_[context];
  Runtime& created = graph.runtimes.emplace_back();
  created.runtime = runtime;
  created.zero_layers.resize(xnn_runtime_get_zero_layers(runtime, nullptr, 0));
  xnn_runtime_get_zero_layers(runtime, created.zero_layers.data(),
                              created.zero_layers.size());
  for (const xnn_zero_layer& layer : created.zero_layers) {
    created.names.push_back(TensorName(*context, layer.value_id));
  }
  const xnn_masked_layer* layers = nullptr;
  const size_t count = xnn_runtime_get_masked_layers(runtime, &layers);
  for (size_t i = 0; i < count; i++) {
    graph.layers.push_back(
        {TensorName(*context, layers[i].value_id), layers[i]});
  }
}

void Session::RuntimeSetUp(TfLiteContext* context, xnn_runtime_t runtime) {
  const std::lock_guard<std::mutex> lock(mutex_);
  // All runtimes of a delegate share one workspace, which only grows.
  Runtime& facts = Find(context, runtime);
  xnn_runtime_get_sparsity_memory(runtime, &arena_bytes_,
                                  &facts.sparsity_bytes);
  facts.list_bytes = xnn_runtime_get_list_bytes(runtime);
}

Session::Runtime& Session::Find(const TfLiteContext* context,
                                xnn_runtime_t runtime) {
  std::vector<Runtime>& runtimes = graphs_[context].runtimes;
  return *std::find_if(
      runtimes.begin(), runtimes.end(),
      [runtime](const Runtime& known) { return known.runtime == runtime; });
}

void Session::Invoked(TfLiteContext* context, xnn_runtime_t runtime) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Runtime& facts = Find(context, runtime);
  xnn_runtime_get_zero_layers(runtime, facts.zero_layers.data(),
                              facts.zero_layers.size());
  if (profiling()) {
    profile_.Add(*context, runtime);
  }
}

std::string Session::Report() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  int nodes_total = 0;
  int nodes_taken = 0;
  std::vector<std::string> left;
  std::vector<std::string> layers;
  std::vector<std::string> zero_layers;
  size_t sparsity_bytes = 0;
  // Runtimes share a workspace.
  size_t list_bytes = 0;
  for (const auto& [context, graph] : graphs_) {
    nodes_total += graph.nodes_total;
    nodes_taken += graph.nodes_taken;
    for (const LeftNode& node : graph.left) {
      left.push_back(JsonObject({{"node", std::to_string(node.index)},
                                 {"op", JsonString(node.op)},
                                 {"name", JsonString(node.name)},
                                 {"reason", JsonString(node.reason)}}));
    }
    for (const MaskedLayer& layer : graph.layers) {
      layers.push_back(LayerObject(layer.layer, layer.facts));
    }
    for (const Runtime& runtime : graph.runtimes) {
      sparsity_bytes += runtime.sparsity_bytes;
      list_bytes = std::max(list_bytes, runtime.list_bytes);
      for (size_t i = 0; i < runtime.zero_layers.size(); i++) {
        zero_layers.push_back(
            ZeroLayerObject(runtime.names[i], runtime.zero_layers[i]));
      }
    }
  }
  std::vector<std::string> profile;
  for (const ProfiledOperator& op : profile_.Operators()) {
    profile.push_back(
        JsonObject({{"op", JsonString(op.op)},
                    {"layer", JsonString(op.layer)},
                    {"microseconds", JsonNumber(op.microseconds)}}));
  }
  return JsonObject({{"version", JsonString(TFLITE_SPARSE_VERSION)},
                     {"mode", JsonString(options_.mode)},
                     {"skip_zeros", JsonString(options_.skip_zeros)},
                     {"num_threads", std::to_string(options_.num_threads)},
                     {"nodes_total", std::to_string(nodes_total)},
                     {"nodes_taken", std::to_string(nodes_taken)},
                     {"left", JsonArray(left)},
                     {"layers", JsonArray(layers)},
                     {"zero_layers", JsonArray(zero_layers)},
                     {"arena_bytes", std::to_string(arena_bytes_)},
                     {"sparsity_bytes", std::to_string(sparsity_bytes)},
                     {"list_bytes", std::to_string(list_bytes)},
                     {"profile", JsonArray(profile)}});
}

}  // namespace tflite_sparse
