// Just enough JSON to write a report.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_JSON_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_JSON_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tflite_sparse {

// A JSON string literal. Bytes that are not UTF-8 become U+FFFD: a model may
// name its tensors anything.
std::string JsonString(std::string_view text);

// A number, with three digits after the point in any locale.
std::string JsonNumber(double value);

// An array, and an object, of values that are JSON already.
std::string JsonArray(const std::vector<std::string>& values);
std::string JsonObject(
    const std::vector<std::pair<std::string_view, std::string>>& members);

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_JSON_H_
