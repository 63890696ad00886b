#include "native/delegate/profile.h"

#include <algorithm>
#include <cstddef>
#include <ctime>

#include "xnnpack/microkernel-type.h"
#include "xnnpack/operator-type.h"
#include "xnnpack/operator.h"
#include "xnnpack/subgraph.h"

namespace tflite_sparse {
namespace {

int64_t Nanoseconds(const timespec& from, const timespec& to) {
  return (to.tv_sec - from.tv_sec) * INT64_C(1000000000) + to.tv_nsec -
         from.tv_nsec;
}

std::string OperatorName(const xnn_operator& op) {
  std::string name = xnn_operator_type_to_string(op.type);
  if (op.ukernel.type != xnn_microkernel_type_default) {
    name += std::string(" ") + xnn_microkernel_type_to_string(op.ukernel.type);
  }
  return name;
}

}  // namespace

// The ids of the values that TFLite's tensors became are the tensors' indices.
std::string TensorName(const TfLiteContext& context, uint32_t value_id) {
  if (value_id >= context.tensors_size) {
    return "";
  }
  const char* name = context.tensors[value_id].name;
  return name ? name : "";
}

std::vector<Profile::Runtime>::iterator Profile::Find(xnn_runtime_t runtime) {
  return std::find_if(
      runtimes_.begin(), runtimes_.end(),
      [runtime](const Runtime& known) { return known.runtime == runtime; });
}

void Profile::Forget(xnn_runtime_t runtime) {
  const auto found = Find(runtime);
  if (found != runtimes_.end()) {
    runtimes_.erase(found);
  }
}

void Profile::Add(const TfLiteContext& context, xnn_runtime_t runtime) {
  const auto found = Find(runtime);
  const bool first_run = found == runtimes_.end();
  Runtime& total =
      first_run ? runtimes_.emplace_back(Runtime{runtime, 0, {}}) : *found;
  total.runs++;
  timespec start = runtime->start_ts;
  size_t n = 0;
  for (size_t i = 0; i < runtime->num_ops; i++) {
    const xnn_operator_data& data = runtime->opdata[i];
    for (size_t j = 0; j < XNN_MAX_OPERATOR_OBJECTS; j++) {
      if (data.operator_objects[j] == nullptr) {
        continue;
      }
      if (first_run) {
        total.operators.push_back({OperatorName(*data.operator_objects[j]),
                                   TensorName(context, data.outputs[0])});
      }
      total.operators[n++].nanoseconds += Nanoseconds(start, data.end_ts[j]);
      start = data.end_ts[j];
    }
  }
}

std::vector<ProfiledOperator> Profile::Operators() const {
  std::vector<ProfiledOperator> result;
  for (const Runtime& total : runtimes_) {
    for (const Operator& op : total.operators) {
      result.push_back({op.op, op.layer, op.nanoseconds / 1e3 / total.runs});
    }
  }
  return result;
}

}  // namespace tflite_sparse
