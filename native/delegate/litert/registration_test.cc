// Registering, with a LiteRT made up here: dlsym() finds its functions in this
// program as it finds them in one that is linked against libLiteRt.so.

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "native/delegate/litert/abi.h"
#include "native/delegate/litert/tflite_sparse_litert.h"

using tflite_sparse::litert::CreateDelegate;
using tflite_sparse::litert::GetHardware;
using tflite_sparse::litert::kOk;
using tflite_sparse::litert::kRuntimeFailure;
using tflite_sparse::litert::Status;

namespace {

struct Registered {
  int hardware = 0;
  CreateDelegate* create = nullptr;
};

}  // namespace

struct LiteRtEnvironmentT {
  std::vector<Registered*> accelerators;
};

namespace {

int alive = 0;
// Name of the function that fails.
std::string failing;

Status Result(const char* function) {
  return failing == function ? kRuntimeFailure : kOk;
}

}  // namespace

extern "C" {

Status LiteRtGetNumAccelerators(LiteRtEnvironmentT* environment,
                                size_t* count) {
  *count = environment->accelerators.size();
  return Result("LiteRtGetNumAccelerators");
}

Status LiteRtGetAccelerator(LiteRtEnvironmentT* environment, size_t index,
                            Registered** accelerator) {
  *accelerator = environment->accelerators[index];
  return Result("LiteRtGetAccelerator");
}

Status LiteRtGetAcceleratorHardwareSupport(Registered* accelerator,
                                           int* hardware) {
  *hardware = accelerator->hardware;
  return Result("LiteRtGetAcceleratorHardwareSupport");
}

Status LiteRtGetAcceleratorName(Registered*, const char** name) {
  *name = "Someone";
  return Result("LiteRtGetAcceleratorName");
}

Status LiteRtCreateAccelerator(Registered** accelerator) {
  alive++;
  *accelerator = new Registered;
  return Result("LiteRtCreateAccelerator");
}

Status LiteRtDestroyAccelerator(Registered* accelerator) {
  alive--;
  delete accelerator;
  return kOk;
}

Status LiteRtSetAcceleratorGetName(Registered*, void*) {
  return Result("LiteRtSetAcceleratorGetName");
}

Status LiteRtSetAcceleratorGetVersion(Registered*, void*) {
  return Result("LiteRtSetAcceleratorGetVersion");
}

Status LiteRtSetAcceleratorGetHardwareSupport(Registered* accelerator,
                                              GetHardware* get) {
  get(accelerator, &accelerator->hardware);
  return Result("LiteRtSetAcceleratorGetHardwareSupport");
}

Status LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation(Registered*,
                                                                  void*) {
  return Result("LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation");
}

Status LiteRtSetDelegateFunction(Registered* accelerator,
                                 CreateDelegate* create) {
  accelerator->create = create;
  return Result("LiteRtSetDelegateFunction");
}

Status LiteRtRegisterAccelerator(LiteRtEnvironmentT* environment,
                                 Registered* accelerator, void*,
                                 void (*)(void*)) {
  const Status status = Result("LiteRtRegisterAccelerator");
  if (status == kOk) {
    environment->accelerators.push_back(accelerator);
  } else {
    LiteRtDestroyAccelerator(accelerator);
  }
  return status;
}

}  // extern "C"

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string>& Errors() {
  static std::vector<std::string> errors;
  return errors;
}

int Register(LiteRtEnvironmentT* environment, void* litert = nullptr) {
  Errors().clear();
  return tflite_sparse_litert_register(
      environment, litert, [](const char* text) { Errors().push_back(text); });
}

class Registration : public ::testing::Test {
 protected:
  void TearDown() override {
    failing.clear();
    for (Registered* accelerator : environment_.accelerators) {
      LiteRtDestroyAccelerator(accelerator);
    }
    EXPECT_EQ(alive, 0) << "an accelerator was not released";
    alive = 0;
  }
  LiteRtEnvironmentT environment_;
};

TEST_F(Registration, AddsTheAccelerator) {
  EXPECT_EQ(Register(&environment_), 0);
  EXPECT_THAT(Errors(), ElementsAre());
  ASSERT_EQ(environment_.accelerators.size(), 1);
  EXPECT_EQ(environment_.accelerators[0]->hardware, 1);
  EXPECT_EQ(environment_.accelerators[0]->create,
            LiteRtAcceleratorImpl.create_delegate);
}

TEST_F(Registration, ComesBesideOneForAGpu) {
  alive++;
  environment_.accelerators.push_back(new Registered{2, nullptr});
  EXPECT_EQ(Register(&environment_), 0);
  EXPECT_EQ(environment_.accelerators.size(), 2);
}

TEST_F(Registration, IsRefusedBehindOneForTheCpu) {
  alive++;
  environment_.accelerators.push_back(new Registered{1 | 2, nullptr});
  EXPECT_NE(Register(&environment_), 0);
  EXPECT_THAT(Errors(),
              ElementsAre(AllOf(HasSubstr("Someone"),
                                HasSubstr("AutoRegisterAccelerators"))));
  EXPECT_EQ(environment_.accelerators.size(), 1);
}

TEST_F(Registration, NamesTheFunctionThatFails) {
  for (const char* function :
       {"LiteRtGetNumAccelerators", "LiteRtSetAcceleratorGetName",
        "LiteRtSetAcceleratorGetVersion",
        "LiteRtSetAcceleratorGetHardwareSupport",
        "LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation",
        "LiteRtSetDelegateFunction", "LiteRtRegisterAccelerator"}) {
    failing = function;
    EXPECT_NE(Register(&environment_), 0) << function;
    EXPECT_THAT(Errors(),
                ElementsAre(AllOf(HasSubstr(function), HasSubstr("status 3"))));
    EXPECT_EQ(environment_.accelerators.size(), 0);
    EXPECT_EQ(alive, 0) << function;
    EXPECT_NE(tflite_sparse_litert_register(&environment_, nullptr, nullptr),
              0);
  }
}

TEST_F(Registration, SaysThatALibraryIsNotLiteRt) {
  void* other = dlopen("libm.so.6", RTLD_NOW);
  ASSERT_NE(other, nullptr);
  EXPECT_NE(Register(&environment_, other), 0);
  EXPECT_THAT(Errors(), ElementsAre(AllOf(HasSubstr("LiteRtGetNumAccelerators"),
                                          HasSubstr("libLiteRt.so"))));
  dlclose(other);
}

}  // namespace
