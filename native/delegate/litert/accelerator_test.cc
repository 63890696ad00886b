// The accelerator as LiteRT sees it, with a runtime made up here.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "native/delegate/litert/abi.h"
#include "native/delegate/litert/tflite_sparse_litert.h"
#include "native/delegate/tflite_sparse.h"

namespace tflite_sparse::litert {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Wrapper {
  TfLiteDelegate* delegate;
  void (*destroy)(TfLiteDelegate*);
  ~Wrapper() { destroy(delegate); }
};

Status Wrap(TfLiteDelegate* delegate, void (*destroy)(TfLiteDelegate*),
            void** wrapper) {
  *wrapper = new Wrapper{delegate, destroy};
  return kOk;
}

TfLiteDelegate* refused = nullptr;

Status RefuseToWrap(TfLiteDelegate* delegate, void (*)(TfLiteDelegate*),
                    void**) {
  refused = delegate;
  return kRuntimeFailure;
}

// The size is that of LiteRT 2.2, where there is more behind what we know.
constexpr AbiHeader kKnown = {400, 1, 0, 0};

// What LiteRT does for a model that is compiled.
Status Compile(const AbiHeader& abi, std::unique_ptr<Wrapper>* wrapper,
               decltype(RuntimeContext::wrap_delegate) wrap = Wrap) {
  RuntimeContext context = {abi, {}, wrap};
  void* made = nullptr;
  const Status status = LiteRtAcceleratorImpl.create_delegate(
      &context, nullptr, nullptr, nullptr, &made);
  wrapper->reset(static_cast<Wrapper*>(made));
  return status;
}

std::vector<std::string>& Errors() {
  static std::vector<std::string> errors;
  return errors;
}

int SetOption(std::string key, std::string value) {
  Errors().clear();
  char* keys[] = {key.data()};
  char* values[] = {value.data()};
  return tflite_sparse_litert_options(
      keys, values, 1, [](const char* text) { Errors().push_back(text); });
}

std::string Report() {
  const std::unique_ptr<char, decltype(&tflite_sparse_free)> report(
      tflite_sparse_report(tflite_sparse_litert_delegate()),
      tflite_sparse_free);
  return report ? report.get() : "";
}

class Accelerator : public ::testing::Test {
 protected:
  void SetUp() override {
    tflite_sparse_litert_options(nullptr, nullptr, 0, nullptr);
  }
  std::unique_ptr<Wrapper> wrapper_;
};

TEST_F(Accelerator, IsForTheCpuAndNeedsNotBeAskedForByName) {
  const char* name = nullptr;
  EXPECT_EQ(LiteRtAcceleratorImpl.get_name(nullptr, &name), kOk);
  EXPECT_STREQ(name, "tflite-sparse");
  int hardware = 0;
  EXPECT_EQ(LiteRtAcceleratorImpl.get_hardware(nullptr, &hardware), kOk);
  EXPECT_EQ(hardware, kCpu);
  bool compiles = false;
  EXPECT_EQ(LiteRtAcceleratorImpl.compiles_itself(nullptr, &compiles), kOk);
  EXPECT_TRUE(compiles);
  Version version = {-1, -1, -1};
  EXPECT_EQ(LiteRtAcceleratorImpl.get_version(nullptr, &version), kOk);
  EXPECT_EQ(std::to_string(version.major) + "." +
                std::to_string(version.minor) + "." +
                std::to_string(version.patch),
            tflite_sparse_version());
}

TEST_F(Accelerator, HandsOutADelegateWithTheDefaults) {
  EXPECT_EQ(tflite_sparse_litert_delegate(), nullptr);
  ASSERT_EQ(Compile(kKnown, &wrapper_), kOk);
  EXPECT_EQ(tflite_sparse_litert_delegate(), wrapper_->delegate);
  EXPECT_STREQ(tflite_sparse_litert_error(), "");
  EXPECT_THAT(Report(), AllOf(HasSubstr(R"("mode": "compact")"),
                              HasSubstr(R"("num_threads": 1)")));
}

TEST_F(Accelerator, OptionsHoldUntilTheyAreSetAgain) {
  std::unique_ptr<Wrapper> second;
  ASSERT_EQ(SetOption("num_threads", "3"), 0);
  ASSERT_EQ(Compile(kKnown, &wrapper_), kOk);
  EXPECT_THAT(Report(), HasSubstr(R"("num_threads": 3)"));
  ASSERT_EQ(Compile(kKnown, &second), kOk);
  EXPECT_THAT(Report(), HasSubstr(R"("num_threads": 3)"));
  ASSERT_EQ(tflite_sparse_litert_options(nullptr, nullptr, 0, nullptr), 0);
  EXPECT_EQ(tflite_sparse_litert_delegate(), nullptr);
  ASSERT_EQ(Compile(kKnown, &wrapper_), kOk);
  EXPECT_THAT(Report(), HasSubstr(R"("num_threads": 1)"));
}

TEST_F(Accelerator, ABadOptionIsRefusedAtOnceAndLeavesTheDefaults) {
  ASSERT_EQ(SetOption("num_threads", "3"), 0);
  EXPECT_NE(SetOption("mode", "fast"), 0);
  EXPECT_THAT(Errors(),
              ElementsAre(AllOf(HasSubstr("'fast'"), HasSubstr("'compact'"))));
  ASSERT_EQ(Compile(kKnown, &wrapper_), kOk);
  EXPECT_THAT(Report(), AllOf(HasSubstr(R"("mode": "compact")"),
                              HasSubstr(R"("num_threads": 1)")));
}

TEST_F(Accelerator, OptionsAreThoseOfAThread) {
  ASSERT_EQ(SetOption("num_threads", "3"), 0);
  std::thread([] {
    std::unique_ptr<Wrapper> wrapper;
    ASSERT_EQ(Compile(kKnown, &wrapper), kOk);
    EXPECT_THAT(Report(), HasSubstr(R"("num_threads": 1)"));
  }).join();
  EXPECT_EQ(tflite_sparse_litert_delegate(), nullptr);
}

TEST_F(Accelerator, RefusesARuntimeWithAnotherInterface) {
  std::unique_ptr<Wrapper> earlier;
  ASSERT_EQ(Compile(kKnown, &earlier), kOk);
  for (const AbiHeader& abi : {AbiHeader{400, 2, 0, 0}, AbiHeader{400, 0, 0, 0},
                               AbiHeader{sizeof(RuntimeContext) - 1, 1, 0, 0},
                               // An address, as in LiteRT 2.1.
                               AbiHeader{0x9540, 1, 0x7f74, 0}}) {
    EXPECT_EQ(Compile(abi, &wrapper_), kUnsupported);
    EXPECT_EQ(wrapper_, nullptr);
    EXPECT_EQ(tflite_sparse_litert_delegate(), nullptr);
    EXPECT_THAT(tflite_sparse_litert_error(),
                AllOf(HasSubstr(" " + std::to_string(abi.major) + " and " +
                                std::to_string(abi.struct_size) + " bytes"),
                      HasSubstr("2.2 or 2.3")));
  }
  ASSERT_EQ(Compile({sizeof(RuntimeContext), 1, 7, 0}, &wrapper_), kOk);
  EXPECT_STREQ(tflite_sparse_litert_error(), "");
}

TEST_F(Accelerator, TakesADelegateBackThatTheRuntimeRefuses) {
  std::unique_ptr<Wrapper> earlier;
  ASSERT_EQ(Compile(kKnown, &earlier), kOk);
  EXPECT_EQ(Compile(kKnown, &wrapper_, RefuseToWrap), kRuntimeFailure);
  EXPECT_EQ(tflite_sparse_litert_delegate(), nullptr);
  EXPECT_THAT(tflite_sparse_litert_error(), HasSubstr("status 3"));
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(tflite_sparse_report(refused), nullptr) << "it was not destroyed";
}

}  // namespace
}  // namespace tflite_sparse::litert
