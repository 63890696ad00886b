#include "native/delegate/json.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdio>

namespace tflite_sparse {
namespace {

// Length of the UTF-8 sequence at the start of the text; 0 if there is none
// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&text](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto follows = [&byte](size_t i, unsigned low = 0x80,
                               unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return follows(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

std::string Joined(const std::vector<std::string>& values) {
  std::string result;
  for (const std::string& value : values) {
    result += (result.empty() ? "" : ", ") + value;
  }
  return result;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char c = text[0];
    if (length == 0) {
      result += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (length == 1 && static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape;
      snprintf(escape.data(), escape.size(), "\\u%04x", c);
      result += escape.data();
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result + "\"";
}

std::string JsonNumber(double value) {
  std::array<char, 32> text;
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value,
                    std::chars_format::fixed, 3);
  return error == std::errc() ? std::string(text.data(), end) : "null";
}

std::string JsonArray(const std::vector<std::string>& values) {
  return "[" + Joined(values) + "]";
}

std::string JsonObject(
    const std::vector<std::pair<std::string_view, std::string>>& members) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : members) {
    pairs.push_back(JsonString(name) + ": " + value);
  }
  return "{" + Joined(pairs) + "}";
}

}  // namespace tflite_sparse
