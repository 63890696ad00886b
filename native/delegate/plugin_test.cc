// The delegate through its C interface, on a model without an interpreter.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthreadpool.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "native/delegate/fake_model.h"
#include "native/delegate/tflite_sparse.h"
#include "tensorflow/lite/builtin_ops.h"
#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"

namespace tflite_sparse {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using Delegate =
    std::unique_ptr<TfLiteDelegate, decltype(&tflite_plugin_destroy_delegate)>;

std::vector<std::string>& Errors() {
  static std::vector<std::string> errors;
  return errors;
}

Delegate Create(std::vector<std::pair<std::string, std::string>> options = {}) {
  std::vector<char*> keys;
  std::vector<char*> values;
  for (auto& [key, value] : options) {
    keys.push_back(key.data());
    values.push_back(value.data());
  }
  Errors().clear();
  return Delegate(tflite_plugin_create_delegate(
                      keys.data(), values.data(), options.size(),
                      [](const char* text) { Errors().push_back(text); }),
                  tflite_plugin_destroy_delegate);
}

std::string Report(const Delegate& delegate) {
  const std::unique_ptr<char, decltype(&tflite_sparse_free)> report(
      tflite_sparse_report(delegate.get()), tflite_sparse_free);
  return report ? report.get() : "";
}

// abs -> a custom operator -> abs of a double: only the first can be taken.
struct MixedModel : FakeModel {
  MixedModel() {
    input = AddTensor("input", kTfLiteFloat32, 4);
    absolute = AddTensor("absolute", kTfLiteFloat32, 4);
    const int mystery = AddTensor("mys\"tery", kTfLiteFloat64, 4);
    const int output = AddTensor("output", kTfLiteFloat64, 4);
    AddNode(kTfLiteBuiltinAbs, nullptr, input, absolute);
    AddNode(kTfLiteBuiltinCustom, "Mystery", absolute, mystery);
    AddNode(kTfLiteBuiltinAbs, nullptr, mystery, output);
  }
  int input;
  int absolute;
};

TEST(Plugin, RefusesABadOptionWithOneSentence) {
  EXPECT_EQ(Create({{"speed", "11"}}), nullptr);
  EXPECT_THAT(Errors(), ElementsAre(HasSubstr("'speed'")));
  std::string key = "speed";
  std::array<char*, 1> keys = {key.data()};
  EXPECT_EQ(tflite_plugin_create_delegate(keys.data(), keys.data(), 1, nullptr),
            nullptr);
}

TEST(Plugin, ObeysTheNumberOfThreads) {
  const auto threads = [](const Delegate& delegate) {
    return pthreadpool_get_threads_count(static_cast<pthreadpool_t>(
        TfLiteXNNPackDelegateGetThreadPool(delegate.get())));
  };
  EXPECT_EQ(threads(Create()), 1);
  EXPECT_EQ(threads(Create({{"num_threads", "1"}})), 1);
  EXPECT_EQ(threads(Create({{"num_threads", "3"}})), 3);
}

TEST(Plugin, SwitchesInt8) {
  const int both =
      TFLITE_XNNPACK_DELEGATE_FLAG_QS8 | TFLITE_XNNPACK_DELEGATE_FLAG_QU8;
  EXPECT_EQ(TfLiteXNNPackDelegateGetFlags(Create().get()) & both, both);
  EXPECT_EQ(TfLiteXNNPackDelegateGetFlags(Create({{"int8", "0"}}).get()) & both,
            0);
}

TEST(Plugin, ReportsNothingBeforeItIsApplied) {
  EXPECT_THAT(
      Report(Create({{"mode", "insert"}, {"num_threads", "2"}})),
      AllOf(StartsWith("{\"version\": \"" TFLITE_SPARSE_VERSION "\""),
            HasSubstr(R"("mode": "insert")"), HasSubstr(R"("num_threads": 2)"),
            HasSubstr(R"("nodes_total": 0, "nodes_taken": 0, "left": [])"),
            HasSubstr(R"("layers": [])")));
}

TEST(Plugin, ReportsWhatItLeavesAndWhy) {
  const Delegate delegate = Create();
  MixedModel model;
  ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
  EXPECT_THAT(model.taken(), ElementsAre(0));
  EXPECT_THAT(model.errors(), IsEmpty());
  EXPECT_THAT(
      Report(delegate),
      AllOf(HasSubstr(R"("nodes_total": 3, "nodes_taken": 1)"),
            HasSubstr(R"({"node": 1, "op": "Mystery", "name": "mys\"tery", )"
                      R"("reason": "unsupported custom operator type )"),
            HasSubstr(R"({"node": 2, "op": "ABS", "name": "output", )"
                      R"("reason": "unsupported type FLOAT64)")));
}

TEST(Plugin, RefusesNodesWithoutAnOrder) {
  enum Tensor { kInput, kConstant, kFirst, kSecond };
  const std::array<float, 4> ones = {1, 1, 1, 1};
  const auto error = [&](const std::vector<std::pair<int, int>>& nodes) {
    FakeModel model;
    model.AddTensor("input", kTfLiteFloat32, 4);
    model.AddTensor("constant", kTfLiteFloat32, 4, ones.data());
    model.AddTensor("first", kTfLiteFloat32, 4);
    model.AddTensor("second", kTfLiteFloat32, 4);
    for (const auto& [input, output] : nodes) {
      model.AddNode(kTfLiteBuiltinAbs, nullptr, input, output);
    }
    const Delegate delegate = Create();
    const bool is_ok = model.Apply(delegate.get()) == kTfLiteOk;
    EXPECT_EQ(is_ok, model.errors().empty());
    return is_ok ? "" : model.errors().front();
  };
  EXPECT_EQ(error({{kInput, kFirst}, {kFirst, kSecond}}), "");
  EXPECT_THAT(error({{kInput, kConstant}}),
              HasSubstr("node 0 writes tensor 1, a constant"));
  EXPECT_THAT(error({{kInput, kFirst}, {kInput, kFirst}}),
              HasSubstr("node 1 writes tensor 2, as node 0 does"));
  EXPECT_THAT(error({{kFirst, kSecond}, {kInput, kFirst}}),
              HasSubstr("node 0 reads tensor 2 before node 1 has written it"));
  EXPECT_THAT(error({{kFirst, kFirst}}),
              HasSubstr("node 0 reads tensor 2 before node 0 has written it"));
}

TEST(Plugin, CountsAGraphThatIsAppliedAnewOnce) {
  const Delegate delegate = Create();
  MixedModel model;
  ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
  ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
  EXPECT_THAT(Report(delegate),
              HasSubstr(R"("nodes_total": 3, "nodes_taken": 1)"));
}

TEST(Plugin, LeavesWhatUnpacksConstantsForALeftNode) {
  const std::array<uint16_t, 4> halves = {};
  FakeModel model;
  const int constant =
      model.AddTensor("half", kTfLiteFloat16, 4, halves.data());
  const int unpacked = model.AddTensor("unpacked", kTfLiteFloat32, 4);
  const int output = model.AddTensor("output", kTfLiteFloat32, 4);
  model.AddNode(kTfLiteBuiltinDequantize, nullptr, constant, unpacked);
  model.AddNode(kTfLiteBuiltinCustom, "Mystery", unpacked, output);
  const Delegate delegate = Create();
  ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
  EXPECT_THAT(
      Report(delegate),
      HasSubstr(R"({"node": 0, "op": "DEQUANTIZE", "name": "unpacked", )"
                R"("reason": "it unpacks constants for )"));
}

TEST(Plugin, ProfilesWhenAsked) {
  for (const char* profile : {"0", "1"}) {
    const Delegate delegate = Create({{"profile", profile}});
    MixedModel model;
    ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
    for (int i = 0; i < 4; i++) {
      model.float_data(model.input)[i] = static_cast<float>(1 - i);
    }
    ASSERT_EQ(model.Invoke(), kTfLiteOk);
    const float* result = model.float_data(model.absolute);
    EXPECT_THAT(std::vector<float>(result, result + 4),
                ElementsAre(1, 0, 1, 2));
    EXPECT_THAT(Report(delegate), *profile == '1'
                                      ? HasSubstr(R"("layer": "absolute", )")
                                      : HasSubstr(R"("profile": [])"));
  }
}

TEST(Plugin, ForgetsTheProfileOfAGraphThatIsAppliedAgain) {
  const Delegate delegate = Create({{"profile", "1"}});
  MixedModel model;
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
    EXPECT_THAT(Report(delegate), HasSubstr(R"("profile": [])"));
    ASSERT_EQ(model.Invoke(), kTfLiteOk);
    EXPECT_THAT(Report(delegate), HasSubstr(R"("layer": "absolute", )"));
  }
}

// What C programs use, without our options and report.
TEST(PlainDelegate, Runs) {
  TfLiteXNNPackDelegateOptions options = TfLiteXNNPackDelegateOptionsDefault();
  for (const TfLiteXNNPackDelegateOptions* given :
       {static_cast<const TfLiteXNNPackDelegateOptions*>(nullptr),
        static_cast<const TfLiteXNNPackDelegateOptions*>(&options)}) {
    const std::unique_ptr<TfLiteDelegate,
                          decltype(&TfLiteXNNPackDelegateDelete)>
        delegate(TfLiteXNNPackDelegateCreate(given),
                 TfLiteXNNPackDelegateDelete);
    MixedModel model;
    ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
    EXPECT_THAT(model.taken(), ElementsAre(0));
    // Nobody else asks why.
    EXPECT_THAT(model.errors(),
                ElementsAre(HasSubstr("Mystery"), HasSubstr("FLOAT64")));
    model.float_data(model.input)[3] = -3;
    ASSERT_EQ(model.Invoke(), kTfLiteOk);
    EXPECT_EQ(model.float_data(model.absolute)[3], 3);
  }
}

TEST(Plugin, RefusesToRunWithOtherShapesThanTheInterpreter) {
  FakeModel model;
  const int input = model.AddTensor("input", kTfLiteFloat32, 8);
  const int output = model.AddTensor("output", kTfLiteFloat32, 4);
  model.AddNode(kTfLiteBuiltinAbs, nullptr, input, output);
  const Delegate delegate = Create();
  ASSERT_EQ(model.Apply(delegate.get()), kTfLiteOk);
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(model.Invoke(), kTfLiteError);
    EXPECT_THAT(model.errors().back(), HasSubstr("shape of tensor 1"));
  }
}

TEST(Plugin, LeavesStrangersAlone) {
  TfLiteDelegate stranger = {};
  EXPECT_EQ(tflite_sparse_report(&stranger), nullptr);
  EXPECT_EQ(tflite_sparse_report(nullptr), nullptr);
  tflite_plugin_destroy_delegate(&stranger);
  tflite_plugin_destroy_delegate(nullptr);
  tflite_sparse_free(nullptr);
}

}  // namespace
}  // namespace tflite_sparse
