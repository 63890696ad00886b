#include "native/delegate/fake_model.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <utility>

namespace tflite_sparse {
namespace {

FakeModel* ModelOf(TfLiteContext* context) {
  return static_cast<FakeModel*>(context->impl_);
}

}  // namespace

FakeModel::FakeModel() {
  context_.impl_ = this;
  context_.recommended_num_threads = 1;
  context_.ReportError = Report;
  context_.GetExecutionPlan = [](TfLiteContext* context,
                                 TfLiteIntArray** plan) {
    *plan = ModelOf(context)->plan_.get();
    return kTfLiteOk;
  };
  context_.GetNodeAndRegistration = [](TfLiteContext* context, int index,
                                       TfLiteNode** node,
                                       TfLiteRegistration** registration) {
    *node = &ModelOf(context)->nodes_[index];
    *registration = &ModelOf(context)->registrations_[index];
    return kTfLiteOk;
  };
  context_.GetModelMetadata = [](const TfLiteContext*, const char*,
                                 const char**,
                                 size_t*) { return kTfLiteError; };
  context_.ReplaceNodeSubsetsWithDelegateKernels =
      [](TfLiteContext* context, TfLiteRegistration registration,
         const TfLiteIntArray* nodes, TfLiteDelegate* delegate) {
        return ModelOf(context)->Replace(registration, *nodes, delegate);
      };
}

FakeModel::~FakeModel() { Release(); }

void FakeModel::Report(TfLiteContext* context, const char* format, ...) {
  std::array<char, 256> message;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message.data(), message.size(), format, arguments);
  va_end(arguments);
  ModelOf(context)->errors_.push_back(message.data());
}

int FakeModel::AddTensor(const char* name, TfLiteType type, int n,
                         const void* data) {
  // XNNPACK reads past the end of a tensor.
  storage_.push_back(std::make_unique<std::vector<float>>(n + 16));
  TfLiteTensor tensor = {};
  tensor.name = name;
  tensor.type = type;
  tensor.dims = Keep(MakeArray({1, n}));
  tensor.bytes = n * sizeof(float);
  tensor.allocation_type = data ? kTfLiteMmapRo : kTfLiteArenaRw;
  tensor.data.data = data ? const_cast<void*>(data) : storage_.back()->data();
  tensors_.push_back(tensor);
  return static_cast<int>(tensors_.size()) - 1;
}

int FakeModel::AddNode(int builtin_code, const char* custom_name, int input,
                       int output) {
  TfLiteNode node = {};
  node.inputs = Keep(MakeArray({input}));
  node.outputs = Keep(MakeArray({output}));
  nodes_.push_back(node);
  TfLiteRegistration registration = {};
  registration.builtin_code = builtin_code;
  registration.custom_name = custom_name;
  registration.version = 1;
  registrations_.push_back(registration);
  return static_cast<int>(nodes_.size()) - 1;
}

TfLiteStatus FakeModel::Apply(TfLiteDelegate* delegate) {
  Release();
  context_.tensors = tensors_.data();
  context_.tensors_size = tensors_.size();
  std::vector<int> order(nodes_.size());
  std::iota(order.begin(), order.end(), 0);
  plan_ = MakeArray(order);
  return delegate->Prepare(&context_, delegate);
}

TfLiteStatus FakeModel::Invoke() {
  return kernel_.invoke(&context_, &kernel_node_);
}

FakeModel::Array FakeModel::MakeArray(const std::vector<int>& values) {
  Array array(TfLiteIntArrayCreate(static_cast<int>(values.size())));
  std::copy(values.begin(), values.end(), array->data);
  return array;
}

TfLiteIntArray* FakeModel::Keep(Array array) {
  arrays_.push_back(std::move(array));
  return arrays_.back().get();
}

// Takes the nodes to be one partition that reads the first node's input and
// writes the last one's output.
TfLiteStatus FakeModel::Replace(const TfLiteRegistration& registration,
                                const TfLiteIntArray& nodes,
                                TfLiteDelegate* delegate) {
  taken_.assign(nodes.data, nodes.data + nodes.size);
  if (taken_.empty()) {
    return kTfLiteOk;
  }
  kernel_ = registration;
  TfLiteDelegateParams parameters = {};
  parameters.delegate = delegate;
  parameters.nodes_to_replace = Keep(MakeArray(taken_));
  parameters.input_tensors = nodes_[taken_.front()].inputs;
  parameters.output_tensors = nodes_[taken_.back()].outputs;
  kernel_node_.user_data =
      kernel_.init(&context_, reinterpret_cast<const char*>(&parameters), 0);
  return kernel_.prepare(&context_, &kernel_node_);
}

void FakeModel::Release() {
  if (kernel_node_.user_data != nullptr) {
    kernel_.free(&context_, kernel_node_.user_data);
    kernel_node_.user_data = nullptr;
  }
}

}  // namespace tflite_sparse
