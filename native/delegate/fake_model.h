// A model as a delegate sees it, without the interpreter around it.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_FAKE_MODEL_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_FAKE_MODEL_H_

#include <memory>
#include <string>
#include <vector>

#include "tensorflow/lite/core/c/common.h"

namespace tflite_sparse {

class FakeModel {
 public:
  FakeModel();
  ~FakeModel();
  FakeModel(const FakeModel&) = delete;
  FakeModel& operator=(const FakeModel&) = delete;

  // Adds a tensor of n elements and returns its index. If `data` is not null,
  // the tensor is constant; otherwise `float_data` gives it memory.
  int AddTensor(const char* name, TfLiteType type, int n,
                const void* data = nullptr);

  // Adds an operator and returns its index.
  int AddNode(int builtin_code, const char* custom_name, int input, int output);

  // What an interpreter does with a delegate, and then with an input.
  TfLiteStatus Apply(TfLiteDelegate* delegate);
  TfLiteStatus Invoke();

  float* float_data(int tensor) { return storage_[tensor]->data(); }

  // The nodes that the delegate took, and what it reported to the runtime.
  const std::vector<int>& taken() const { return taken_; }
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  struct FreeArray {
    void operator()(TfLiteIntArray* array) const { TfLiteIntArrayFree(array); }
  };
  using Array = std::unique_ptr<TfLiteIntArray, FreeArray>;

  static void Report(TfLiteContext* context, const char* format, ...);
  static Array MakeArray(const std::vector<int>& values);
  TfLiteIntArray* Keep(Array array);
  TfLiteStatus Replace(const TfLiteRegistration& registration,
                       const TfLiteIntArray& nodes, TfLiteDelegate* delegate);
  void Release();

  TfLiteContext context_ = {};
  std::vector<TfLiteTensor> tensors_;
  std::vector<std::unique_ptr<std::vector<float>>> storage_;
  std::vector<TfLiteNode> nodes_;
  std::vector<TfLiteRegistration> registrations_;
  std::vector<Array> arrays_;
  Array plan_;
  TfLiteRegistration kernel_ = {};
  TfLiteNode kernel_node_ = {};
  std::vector<int> taken_;
  std::vector<std::string> errors_;
};

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_FAKE_MODEL_H_
