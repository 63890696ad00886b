// Operations that refuse nodes on which TFLite's kernels would end the process.

#ifndef TFLITE_SPARSE_NATIVE_RUNTIME_CHECKED_OPERATIONS_H_
#define TFLITE_SPARSE_NATIVE_RUNTIME_CHECKED_OPERATIONS_H_

#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite_sparse {

// The registration of a builtin operation that says what is wrong with a node,
// where its own functions would crash: a missing tensor, a window that is none,
// a type that an output cannot have, or scales that cannot be computed with.
// The same for each call; null for null.
const TfLiteRegistration* Checked(const TfLiteRegistration* registration);

// `Resolver` with checked builtin operations.
template <typename Resolver>
class CheckedResolver : public Resolver {
 public:
  const TfLiteRegistration* FindOp(tflite::BuiltinOperator op,
                                   int version) const override {
    return Checked(Resolver::FindOp(op, version));
  }

  const TfLiteRegistration* FindOp(const char* op, int version) const override {
    return Resolver::FindOp(op, version);
  }
};

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_RUNTIME_CHECKED_OPERATIONS_H_
