#include "native/delegate/options.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <string_view>

namespace tflite_sparse {
namespace {

constexpr int kMaxThreads = 1024;

// The cores that this process may run on, which in a container are fewer than
// the machine has.
int CountCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
    return 1;
  }
  return std::max(1, CPU_COUNT(&cores));
}

bool ParseThreads(std::string_view text, int* num_threads) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0 || value > kMaxThreads) {
    return false;
  }
  *num_threads = value == 0 ? CountCores() : value;
  return true;
}

bool ParseSwitch(std::string_view text, bool* value) {
  *value = text == "1";
  return text == "0" || text == "1";
}

bool ParseMode(std::string_view text, std::string* mode) {
  *mode = text;
  return text == "compact" || text == "insert" || text == "off";
}

bool ParseSkipZeros(std::string_view text, std::string* skip_zeros) {
  *skip_zeros = text;
  return text == "auto" || text == "always" || text == "never";
}

std::string Quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::string BadValue(std::string_view key, std::string_view found,
                     std::string_view expected) {
  return "tflite-sparse: option " + Quoted(key) + " has the value " +
         Quoted(found) + "; expected " + std::string(expected) + ".";
}

// Reads one option; the sentence that says what is wrong, or an empty string.
std::string ParseOption(std::string_view key, std::string_view value,
                        Options* options) {
  if (key == "num_threads") {
    return ParseThreads(value, &options->num_threads)
               ? ""
               : BadValue(key, value,
                          "a whole number from 0 (all cores) to " +
                              std::to_string(kMaxThreads));
  }
  if (key == "mode") {
    return ParseMode(value, &options->mode)
               ? ""
               : BadValue(key, value, "'compact', 'insert' or 'off'");
  }
  if (key == "skip_zeros") {
    return ParseSkipZeros(value, &options->skip_zeros)
               ? ""
               : BadValue(key, value, "'auto', 'always' or 'never'");
  }
  if (key == "int8") {
    return ParseSwitch(value, &options->int8)
               ? ""
               : BadValue(key, value, "'1' (on) or '0' (off)");
  }
  if (key == "profile") {
    return ParseSwitch(value, &options->profile)
               ? ""
               : BadValue(key, value, "'1' (on) or '0' (off)");
  }
  return "tflite-sparse: unknown option " + Quoted(key) +
         "; the options are num_threads, mode, skip_zeros, int8 and profile.";
}

}  // namespace

std::string ParseOptions(const char* const* keys, const char* const* values,
                         size_t n, Options* options) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < n; i++) {
    if (keys == nullptr || values == nullptr || keys[i] == nullptr ||
        values[i] == nullptr) {
      return "tflite-sparse: option " + std::to_string(i) + " of " +
             std::to_string(n) + " is a null pointer; expected a string.";
    }
    if (!seen.insert(keys[i]).second) {
      return "tflite-sparse: option " + Quoted(keys[i]) +
             " is given twice; give each option once.";
    }
    const std::string error = ParseOption(keys[i], values[i], options);
    if (!error.empty()) {
      return error;
    }
  }
  return "";
}

}  // namespace tflite_sparse
