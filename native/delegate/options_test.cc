#include "native/delegate/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <string>
#include <utility>
#include <vector>

namespace tflite_sparse {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Pairs = std::vector<std::pair<const char*, const char*>>;

std::string Parse(const Pairs& pairs, Options* options) {
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : pairs) {
    keys.push_back(key);
    values.push_back(value);
  }
  return ParseOptions(keys.data(), values.data(), pairs.size(), options);
}

TEST(Options, HaveDefaults) {
  Options options;
  EXPECT_THAT(ParseOptions(nullptr, nullptr, 0, &options), IsEmpty());
  EXPECT_EQ(options.num_threads, 1);
  EXPECT_EQ(options.mode, "compact");
  EXPECT_EQ(options.skip_zeros, "auto");
  EXPECT_TRUE(options.int8);
  EXPECT_FALSE(options.profile);
}

TEST(Options, AreRead) {
  Options options;
  EXPECT_THAT(Parse({{"num_threads", "3"},
                     {"mode", "insert"},
                     {"skip_zeros", "always"},
                     {"int8", "0"},
                     {"profile", "1"}},
                    &options),
              IsEmpty());
  EXPECT_EQ(options.num_threads, 3);
  EXPECT_EQ(options.mode, "insert");
  EXPECT_EQ(options.skip_zeros, "always");
  EXPECT_FALSE(options.int8);
  EXPECT_TRUE(options.profile);
}

TEST(Options, ZeroThreadsAreTheCoresOfThisProcess) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  Options options;
  EXPECT_THAT(Parse({{"num_threads", "0"}}, &options), IsEmpty());
  EXPECT_EQ(options.num_threads, CPU_COUNT(&all));

  cpu_set_t one;
  CPU_ZERO(&one);
  for (int core = 0; CPU_COUNT(&one) == 0; core++) {
    if (CPU_ISSET(core, &all)) {
      CPU_SET(core, &one);
    }
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_THAT(Parse({{"num_threads", "0"}}, &options), IsEmpty());
  EXPECT_EQ(options.num_threads, 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

TEST(Options, AnUnknownOneIsNamedWithTheAllowedOnes) {
  Options options;
  EXPECT_THAT(
      Parse({{"numthreads", "3"}}, &options),
      AllOf(HasSubstr("'numthreads'"), HasSubstr("num_threads"),
            HasSubstr("mode"), HasSubstr("int8"), HasSubstr("profile")));
}

TEST(Options, ARepeatedOneIsNamed) {
  Options options;
  EXPECT_THAT(Parse({{"int8", "1"}, {"int8", "1"}}, &options),
              AllOf(HasSubstr("'int8'"), HasSubstr("twice")));
}

TEST(Options, ANullPointerIsNoCrash) {
  Options options;
  EXPECT_THAT(ParseOptions(nullptr, nullptr, 1, &options), HasSubstr("null"));
  EXPECT_THAT(Parse({{"int8", nullptr}}, &options), HasSubstr("null"));
  EXPECT_THAT(Parse({{nullptr, "1"}}, &options), HasSubstr("null"));
}

struct Bad {
  const char* key;
  const char* value;
  const char* expected;
};

class BadValues : public ::testing::TestWithParam<Bad> {};

TEST_P(BadValues, NameTheOptionTheValueAndTheAllowedOnes) {
  const Bad& bad = GetParam();
  Options options;
  EXPECT_THAT(Parse({{bad.key, bad.value}}, &options),
              AllOf(HasSubstr("'" + std::string(bad.key) + "'"),
                    HasSubstr("'" + std::string(bad.value) + "'"),
                    HasSubstr(bad.expected)));
}

INSTANTIATE_TEST_SUITE_P(
    Options, BadValues,
    ::testing::Values(
        Bad{"num_threads", "-1", "from 0"}, Bad{"num_threads", "", "from 0"},
        Bad{"num_threads", "two", "from 0"}, Bad{"num_threads", "2 ", "from 0"},
        Bad{"num_threads", "2.0", "from 0"},
        Bad{"num_threads", "1025", "to 1024"},
        Bad{"num_threads", "99999999999999999999", "to 1024"},
        Bad{"mode", "", "'compact', 'insert' or 'off'"},
        Bad{"mode", "Compact", "'compact'"},
        Bad{"skip_zeros", "1", "'auto', 'always' or 'never'"},
        Bad{"int8", "2", "'1' (on) or '0' (off)"},
        Bad{"int8", "True", "'1' (on)"}, Bad{"profile", "yes", "'1' (on)"}));

}  // namespace
}  // namespace tflite_sparse
