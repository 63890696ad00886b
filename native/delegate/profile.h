// How long each operator of an XNNPACK runtime takes.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_PROFILE_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tensorflow/lite/core/c/common.h"
#include "xnnpack.h"

namespace tflite_sparse {

// The tensor that became an XNNPACK value; empty if there is none.
std::string TensorName(const TfLiteContext& context, uint32_t value_id);

struct ProfiledOperator {
  // XNNPACK's name of the operator, and of the kind of micro-kernel it runs.
  std::string op;
  // The tensor that it writes; empty if the model does not know that tensor.
  std::string layer;
  // Mean over the runs so far.
  double microseconds;
};

// The operators of runtimes created with XNN_FLAG_BASIC_PROFILING.
class Profile {
 public:
  // The runtime is gone, and with it what it did.
  void Forget(xnn_runtime_t runtime);

  // Adds the run that has just ended.
  void Add(const TfLiteContext& context, xnn_runtime_t runtime);

  // In the order in which they run, one runtime after the other.
  std::vector<ProfiledOperator> Operators() const;

 private:
  struct Operator {
    std::string op;
    std::string layer;
    int64_t nanoseconds = 0;
  };
  struct Runtime {
    xnn_runtime_t runtime;
    int runs = 0;
    std::vector<Operator> operators;
  };
  std::vector<Runtime>::iterator Find(xnn_runtime_t runtime);

  // In the order in which they ran first.
  std::vector<Runtime> runtimes_;
};

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_PROFILE_H_
