#include "kedge/core/block.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kedge/io/gguf.hpp"
#include "kedge/io/safetensors.hpp"
#include "unit/io_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;

// Every format decodes to the bits that the `gguf` package decodes it to.
TEST(Block, DecodesLikeTheGgufPackage) {
  auto weights = io::Gguf::open(KEDGE_GOLDEN_DIR "/formats.gguf");
  auto expected = io::Safetensors::open(KEDGE_GOLDEN_DIR "/formats.safetensors");
  ASSERT_TRUE(ok(weights));
  ASSERT_TRUE(ok(expected));
  ASSERT_EQ(weights->tensors().size(), expected->tensors().size());
  bool seen[static_cast<unsigned>(Element::count)] = {};
  for (const auto& t : weights->tensors()) {
    SCOPED_TRACE(t.name);
    const auto* entry = expected->tensor(t.name);
    ASSERT_NE(entry, nullptr);
    auto bytes = weights->read(t), golden_bytes = expected->read(*entry);
    ASSERT_TRUE(ok(bytes));
    ASSERT_TRUE(ok(golden_bytes));
    auto view = io::as_tensor(t, *bytes), golden = io::as_tensor(*entry, *golden_bytes);
    ASSERT_TRUE(ok(view));
    ASSERT_TRUE(ok(golden));
    ASSERT_EQ(view->rows(), golden->rows());
    ASSERT_EQ(view->width(), golden->width());
    seen[static_cast<unsigned>(t.element)] = true;
    std::vector<float> row(static_cast<std::size_t>(view->width()));
    for (std::int64_t r = 0; r < view->rows(); ++r) {
      decode_row(view->element, view->row<std::byte>(r), view->width(), row.data());
      for (std::int64_t i = 0; i < view->width(); ++i)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(row[static_cast<std::size_t>(i)]),
                  std::bit_cast<std::uint32_t>(golden->row<float>(r)[i]))
            << "row " << r << " value " << i;
    }
  }
  for (unsigned i = 0; i < weight_formats; ++i)
    EXPECT_TRUE(seen[i]) << to_string(static_cast<Element>(i));
}

// The value of an F16 by its definition, in double.
double f16_value(unsigned h) {
  const int exponent = static_cast<int>(h >> 10 & 31), mantissa = static_cast<int>(h & 1023);
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return h >> 15 != 0 ? -magnitude : magnitude;
}

TEST(Half, EveryF16DecodesToItsValueAndBack) {
  for (unsigned h = 0; h < 65536; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    const float value = f16_to_f32(half);
    if ((h >> 10 & 31) == 31) {
      if ((h & 1023) == 0) {
        EXPECT_TRUE(std::isinf(value)) << h;
        EXPECT_EQ(f32_to_f16(value), half);
      } else {
        EXPECT_TRUE(std::isnan(value)) << h;
        EXPECT_EQ(f32_to_f16(value), half | 0x200);  // quiet, payload and sign kept
      }
      EXPECT_EQ(std::signbit(value), h >> 15 != 0) << h;
      continue;
    }
    EXPECT_EQ(value, f16_value(h)) << h;
    EXPECT_EQ(std::signbit(value), h >> 15 != 0) << h;
    EXPECT_EQ(f32_to_f16(value), half);
  }
}

TEST(Half, EveryBf16IsTheUpperHalfOfAnF32) {
  for (unsigned h = 0; h < 65536; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(bf16_to_f32(half)), h << 16);
    const bool nan = (h & 0x7FFF) > 0x7F80;
    EXPECT_EQ(f32_to_bf16(bf16_to_f32(half)), nan ? h | 0x40 : h);
  }
}

// Between every two neighbours: their middle goes to the even one, anything beside it to the
// nearer.
TEST(Half, F32RoundsToTheNearestF16TiesToEven) {
  for (unsigned h = 0; h < 0x7C00; ++h) {
    // The largest finite one's neighbour is infinity, at the place of 2^16.
    const double low = f16_value(h), high = h == 0x7BFF ? 65536.0 : f16_value(h + 1);
    const auto middle = static_cast<float>((low + high) / 2);  // exact: one more bit
    ASSERT_EQ(static_cast<double>(middle), (low + high) / 2);
    const float infinity = std::numeric_limits<float>::infinity();
    const unsigned even = h % 2 == 0 ? h : h + 1;
    for (const unsigned sign : {0u, 0x8000u}) {
      const auto f = [sign](float value) { return sign != 0 ? -value : value; };
      ASSERT_EQ(f32_to_f16(f(middle)), (even | sign)) << h;
      ASSERT_EQ(f32_to_f16(f(std::nextafter(middle, 0.0f))), (h | sign)) << h;
      ASSERT_EQ(f32_to_f16(f(std::nextafter(middle, infinity))), ((h + 1) | sign)) << h;
    }
  }
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7C00);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::denorm_min()), 0x8000);
}

TEST(Half, F32RoundsToTheNearestBf16TiesToEven) {
  for (std::uint32_t h = 0; h < 0x7F80; ++h) {
    const std::uint32_t middle = h << 16 | 0x8000u;
    const std::uint32_t even = h % 2 == 0 ? h : h + 1;
    for (const std::uint32_t sign : {0u, 0x80000000u}) {
      const auto f = [sign](std::uint32_t bits) { return std::bit_cast<float>(bits | sign); };
      ASSERT_EQ(f32_to_bf16(f(middle)), (even | sign >> 16)) << h;
      ASSERT_EQ(f32_to_bf16(f(middle - 1)), (h | sign >> 16)) << h;
      ASSERT_EQ(f32_to_bf16(f(middle + 1)), ((h + 1) | sign >> 16)) << h;
    }
  }
}

}  // namespace
