// Included before each of upstream's tests of its XNNPACK delegate: the
// delegate that they create is ours, whose engine looks at every subgraph.

#ifndef TFLITE_SPARSE_NATIVE_UPSTREAM_SPARSE_DELEGATE_H_
#define TFLITE_SPARSE_NATIVE_UPSTREAM_SPARSE_DELEGATE_H_

#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"

namespace tflite_sparse {

// As TfLiteXNNPackDelegateCreate, with `mode` and `skip_zeros` of
// TFLITE_SPARSE_MODE and TFLITE_SPARSE_SKIP_ZEROS.
TfLiteDelegate* CreateSparseDelegate(
    const TfLiteXNNPackDelegateOptions* options);

}  // namespace tflite_sparse

#define TfLiteXNNPackDelegateCreate ::tflite_sparse::CreateSparseDelegate

#endif  // TFLITE_SPARSE_NATIVE_UPSTREAM_SPARSE_DELEGATE_H_
