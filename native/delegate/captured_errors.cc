#include "native/delegate/captured_errors.h"

#include <array>
#include <cstdarg>
#include <cstdio>

namespace tflite_sparse {
namespace {

// ReportError takes no argument of the caller's, so the object is found here.
thread_local std::string* sink = nullptr;

}  // namespace

CapturedErrors::CapturedErrors(TfLiteContext* context)
    : context_(context), report_error_(context->ReportError) {
  sink = &text_;
  context->ReportError = Append;
}

CapturedErrors::~CapturedErrors() {
  context_->ReportError = report_error_;
  sink = nullptr;
}

void CapturedErrors::Append(TfLiteContext*, const char* format, ...) {
  std::array<char, 512> message;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message.data(), message.size(), format, arguments);
  va_end(arguments);
  if (!sink->empty()) {
    *sink += "; ";
  }
  *sink += message.data();
}

}  // namespace tflite_sparse
