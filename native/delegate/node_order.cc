#include "native/delegate/node_order.h"

#include <vector>

namespace tflite_sparse {
namespace {

std::string Sentence(int node, const std::string& what) {
  return "node " + std::to_string(node) + " " + what +
         "; convert the model again";
}

}  // namespace

std::string NodeOrderError(
    const TfLiteContext& context, const int* plan, size_t size,
    const std::function<const TfLiteNode*(int index)>& node) {
  // Places in the plan; `size` for what no node writes.
  std::vector<size_t> writers(context.tensors_size, size);
  for (size_t place = 0; place < size; place++) {
    const TfLiteIntArray& outputs = *node(plan[place])->outputs;
    for (int i = 0; i < outputs.size; i++) {
      const int tensor = outputs.data[i];
      if (tensor < 0) {
        continue;
      }
      if (context.tensors[tensor].allocation_type == kTfLiteMmapRo) {
        return Sentence(plan[place], "writes tensor " + std::to_string(tensor) +
                                         ", a constant");
      }
      if (writers[tensor] < size) {
        return Sentence(plan[place], "writes tensor " + std::to_string(tensor) +
                                         ", as node " +
                                         std::to_string(plan[writers[tensor]]) +
                                         " does");
      }
      writers[tensor] = place;
    }
  }
  for (size_t place = 0; place < size; place++) {
    const TfLiteIntArray& inputs = *node(plan[place])->inputs;
    for (int i = 0; i < inputs.size; i++) {
      const int tensor = inputs.data[i];
      if (tensor >= 0 && !context.tensors[tensor].is_variable &&
          writers[tensor] < size && writers[tensor] >= place) {
        return Sentence(plan[place], "reads tensor " + std::to_string(tensor) +
                                         " before node " +
                                         std::to_string(plan[writers[tensor]]) +
                                         " has written it");
      }
    }
  }
  return "";
}

}  // namespace tflite_sparse
