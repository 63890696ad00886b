// Catches what is reported to a TFLite context, in place of the runtime.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_CAPTURED_ERRORS_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_CAPTURED_ERRORS_H_

#include <string>

#include "tensorflow/lite/core/c/common.h"

namespace tflite_sparse {

// While an object of this class lives, errors that its thread reports to the
// context go to text() instead of to the runtime's log. Objects do not nest.
class CapturedErrors {
 public:
  explicit CapturedErrors(TfLiteContext* context);
  ~CapturedErrors();
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;

  // The messages so far, joined by "; ".
  const std::string& text() const { return text_; }

 private:
  static void Append(TfLiteContext* context, const char* format, ...);

  TfLiteContext* const context_;
  void (*const report_error_)(TfLiteContext*, const char*, ...);
  std::string text_;
};

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_CAPTURED_ERRORS_H_
