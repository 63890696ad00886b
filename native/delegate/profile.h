// How long each operator of an XNNPACK runtime takes.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_PROFILE_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_PROFILE_H_

#include <cstdint>
#include <map>
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
  // Forgets what an earlier runtime at the same address did.
  void Start(xnn_runtime_t runtime) { runtimes_.erase(runtime); }

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
    int runs = 0;
    std::vector<Operator> operators;
  };
  std::map<xnn_runtime_t, Runtime> runtimes_;
};

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_PROFILE_H_
