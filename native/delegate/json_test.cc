#include "native/delegate/json.h"

#include <gtest/gtest.h>

namespace tflite_sparse {
namespace {

TEST(Json, EscapesWhatAStringMayNotHold) {
  EXPECT_EQ(JsonString("plain"), R"("plain")");
  EXPECT_EQ(JsonString("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(JsonString(std::string("\n\x01\0", 3)), R"("\u000a\u0001\u0000")");
}

TEST(Json, KeepsUtf8) {
  EXPECT_EQ(JsonString("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
}

TEST(Json, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(JsonString("a\xFFz"), R"("a\ufffdz")");
  // Cut short, overlong, a surrogate, above U+10FFFF.
  EXPECT_EQ(JsonString("\xE2\x82"), R"("\ufffd\ufffd")");
  EXPECT_EQ(JsonString("\xC0\xAF"), R"("\ufffd\ufffd")");
  EXPECT_EQ(JsonString("\xED\xA0\x80"), R"("\ufffd\ufffd\ufffd")");
  EXPECT_EQ(JsonString("\xF4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");
}

TEST(Json, WritesNumbersWithAPoint) {
  EXPECT_EQ(JsonNumber(1234567.25), "1234567.250");
  EXPECT_EQ(JsonNumber(0.0004), "0.000");
}

TEST(Json, NestsArraysAndObjects) {
  EXPECT_EQ(JsonArray({}), "[]");
  EXPECT_EQ(JsonObject({{"a", "1"}, {"b", JsonArray({"2", "3"})}}),
            R"({"a": 1, "b": [2, 3]})");
}

}  // namespace
}  // namespace tflite_sparse
