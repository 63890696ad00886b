// Sets of pixels: rows and pixels of each other, in raster order and in orders
// of their own, on planes of one band of 2^16 pixels and of several.

#include <gtest/gtest.h>
#include <xnnpack.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "native/tests/seed.h"

extern "C" {
#include "native/engine/row-set.h"
}

namespace {

class RowSet : public ::testing::TestWithParam<std::pair<uint32_t, uint32_t>> {
 protected:
  RowSet()
      : height_(GetParam().first),
        width_(GetParam().second),
        random_(tflite_sparse::testing::Seed()) {
    EXPECT_EQ(xnn_initialize(nullptr), xnn_status_success);
  }
  ~RowSet() override { row_set_pool_release(&pool_); }

  std::vector<uint8_t> RandomPixels(double share) {
    std::vector<uint8_t> kept(static_cast<size_t>(height_) * width_);
    std::bernoulli_distribution draw(share);
    std::generate(kept.begin(), kept.end(), [&] { return draw(random_); });
    kept.front() = 1;
    kept.back() = 0;
    return kept;
  }

  const row_set* Intern(const std::vector<uint8_t>& kept) {
    const row_set* set = nullptr;
    EXPECT_TRUE(row_set_intern(&pool_, kept.data(), height_, width_, &set));
    return set;
  }

  // Expects that rows stand in the order of these pixels.
  static void ExpectRows(const row_set* set,
                         const std::vector<uint32_t>& pixels) {
    ASSERT_EQ(set->count, pixels.size());
    for (size_t start = 0; start < pixels.size(); start += 1 + start / 2) {
      const size_t count = std::min<size_t>(pixels.size() - start, 150);
      std::vector<uint32_t> found(count);
      row_set_pixels(set, start, count, found.data());
      ASSERT_TRUE(std::equal(found.begin(), found.end(), &pixels[start]))
          << "from row " << start;
    }
    for (size_t row = 0; row < pixels.size(); row++) {
      ASSERT_EQ(row_set_row(set, pixels[row]), row);
    }
  }

  static std::vector<uint32_t> PixelsWith(const std::vector<uint8_t>& kept,
                                          uint8_t value) {
    std::vector<uint32_t> pixels;
    for (size_t p = 0; p < kept.size(); p++) {
      if (kept[p] == value) {
        pixels.push_back(static_cast<uint32_t>(p));
      }
    }
    return pixels;
  }

  uint32_t height_;
  uint32_t width_;
  row_set_pool pool_ = {};
  std::mt19937 random_;
};

TEST_P(RowSet, RasterOrder) {
  for (const double share : {0.02, 0.5, 0.97}) {
    const std::vector<uint8_t> kept = RandomPixels(share);
    const row_set* set = Intern(kept);
    ASSERT_EQ(Intern(kept), set);
    ExpectRows(set, PixelsWith(kept, 1));
    const std::vector<uint32_t> masked = PixelsWith(kept, 0);
    std::vector<uint32_t> found(masked.size());
    row_set_masked_pixels(set, 0, found.size(), found.data());
    EXPECT_EQ(found, masked);
    const size_t middle = masked.size() / 2;
    row_set_masked_pixels(set, middle, 1, found.data());
    EXPECT_EQ(found[0], masked[middle]);
    for (const uint32_t pixel : masked) {
      ASSERT_EQ(row_set_row(set, pixel), ROW_NONE);
    }
  }
}

TEST_P(RowSet, OrderOfItsOwn) {
  const std::vector<uint8_t> kept = RandomPixels(0.8);
  const row_set* set = Intern(kept);
  const std::vector<uint32_t> raster = PixelsWith(kept, 1);
  std::vector<uint32_t> pixels = raster;
  size_t begin = 0;
  for (size_t band = 0; begin != pixels.size(); band++) {
    const size_t end = row_set_band(set, band + 1);
    ASSERT_TRUE(end == pixels.size() ||
                pixels[end] == (band + 1) * ROW_SET_BAND_PIXELS ||
                pixels[end - 1] < (band + 1) * ROW_SET_BAND_PIXELS);
    std::shuffle(pixels.begin() + static_cast<long>(begin),
                 pixels.begin() + static_cast<long>(end), random_);
    begin = end;
  }
  ASSERT_TRUE(row_set_order(&pool_, set, pixels.data()));
  ExpectRows(set, pixels);
  std::vector<uint32_t> found(raster.size());
  row_set_kept_pixels(set, 0, found.size(), found.data());
  EXPECT_EQ(found, raster);
}

TEST_P(RowSet, UnitesAndIntersects) {
  const std::vector<uint8_t> a = RandomPixels(0.6);
  const std::vector<uint8_t> b = RandomPixels(0.3);
  std::vector<uint8_t> both(a.size());
  std::vector<uint8_t> either(a.size());
  for (size_t p = 0; p < a.size(); p++) {
    both[p] = a[p] & b[p];
    either[p] = a[p] | b[p];
  }
  const row_set* set = nullptr;
  ASSERT_TRUE(row_set_intersect(&pool_, Intern(a), Intern(b), &set));
  EXPECT_EQ(set, Intern(both));
  EXPECT_TRUE(row_set_is_subset(set, Intern(a)));
  ASSERT_TRUE(row_set_unite(&pool_, Intern(a), Intern(b), &set));
  EXPECT_EQ(set, Intern(either));
  EXPECT_TRUE(row_set_is_subset(Intern(b), set));
  EXPECT_EQ(row_set_is_subset(set, Intern(b)), either == b);
}

INSTANTIATE_TEST_SUITE_P(Planes, RowSet,
                         ::testing::Values(std::make_pair(3, 5),
                                           std::make_pair(64, 64),
                                           std::make_pair(61, 67),
                                           std::make_pair(256, 256),
                                           std::make_pair(301, 499)));

}  // namespace
