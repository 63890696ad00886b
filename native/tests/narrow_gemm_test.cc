#include <gtest/gtest.h>
#include <xnnpack.h>

#include "native/dense/narrow-gemm.h"

extern "C" {
#include "xnnpack/config.h"
}

namespace {

TEST(NarrowGemm, IsChosenWhereItHasFewerIdleLanes) {
  ASSERT_EQ(xnn_initialize(nullptr), xnn_status_success);
  const xnn_gemm_config* wide = xnn_init_f32_gemm_config();
  for (const size_t channels : {17, 24, 32, 49, 64, 96, 128, 1000}) {
    EXPECT_EQ(xnn_narrow_gemm_config(wide, channels), wide) << channels;
  }
  if (wide->nr != 32) {
    GTEST_SKIP() << "no 7x32 kernel on this machine: AVX-512 is missing";
  }
  for (const size_t channels : {1, 8, 16, 33, 40, 48}) {
    const xnn_gemm_config* narrow = xnn_narrow_gemm_config(wide, channels);
    EXPECT_EQ(narrow->nr, 16) << channels;
    EXPECT_EQ(narrow->mr, wide->mr) << channels;
  }
}

}  // namespace
