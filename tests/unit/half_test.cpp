// F16 and BF16 against their definition: every half, and F32 values between them.
#include "kedge/core/half.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace kedge {
namespace {

double value_of_f16(std::uint32_t h) {  // finite ones, by the definition of the format
  const int exponent = static_cast<int>(h >> 10 & 31), mantissa = static_cast<int>(h & 1023);
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (h & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, EveryF16Decodes) {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const float f = f16_to_f32(static_cast<std::uint16_t>(h));
    if ((h & 0x7C00) == 0x7C00) {
      EXPECT_EQ(std::isnan(f), (h & 0x3FF) != 0) << h;
      EXPECT_EQ(std::isinf(f), (h & 0x3FF) == 0) << h;
    } else {
      ASSERT_EQ(double(f), value_of_f16(h)) << h;
    }
    EXPECT_EQ(std::signbit(f), h >> 15 != 0) << h;
    if (!std::isnan(f)) ASSERT_EQ(f32_to_f16(f), h);
    else EXPECT_EQ(f32_to_f16(f) & 0x7E00, 0x7E00) << "a NaN stays one, and quiet";
  }
}

// The nearest half, of two equally near ones the even.
TEST(Half, RoundsToNearestEven) {
  const auto check = [](float x) {
    const std::uint32_t h = f32_to_f16(x) & 0x7FFFu;
    const double magnitude = std::fabs(double(x));
    ASSERT_EQ(std::signbit(x), (f32_to_f16(x) & 0x8000) != 0) << x;
    if (h == 0x7C00) {
      ASSERT_GE(magnitude, 65520.0) << x;  // half way to the first that is missing
      return;
    }
    ASSERT_LT(magnitude, 65520.0) << x;
    const double error = std::fabs(magnitude - value_of_f16(h));
    for (const std::uint32_t other : {h - 1, h + 1}) {
      if (other > 0x7BFF) continue;  // wraps below zero, infinity above
      const double other_error = std::fabs(magnitude - value_of_f16(other));
      ASSERT_LE(error, other_error) << x;
      ASSERT_TRUE(error != other_error || h % 2 == 0) << x << " is a tie";
    }
  };
  for (std::uint64_t bits = 0; bits < 0x7F800000u; bits += 4099) {
    check(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    check(std::bit_cast<float>(static_cast<std::uint32_t>(bits) | 0x80000000u));
  }
  for (std::uint32_t h = 0; h < 0x7BFF; ++h) {  // ties and their neighbours
    const auto tie = static_cast<float>((value_of_f16(h) + value_of_f16(h + 1)) / 2);
    check(tie);
    check(std::nextafter(tie, 0.0f));
    check(std::nextafter(tie, 1e9f));
  }
  check(65519.996f);
  check(65520.0f);
}

TEST(Half, Bf16) {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const float f = bf16_to_f32(static_cast<std::uint16_t>(h));
    ASSERT_EQ(std::bit_cast<std::uint32_t>(f), h << 16);
    if (!std::isnan(f)) ASSERT_EQ(f32_to_bf16(f), h);
    else EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(f)))) << h;
  }
  const auto round = [](std::uint32_t bits) { return f32_to_bf16(std::bit_cast<float>(bits)); };
  EXPECT_EQ(round(0x3F808000), 0x3F80);  // a tie, down to even
  EXPECT_EQ(round(0x3F818000), 0x3F82);  // a tie, up to even
  EXPECT_EQ(round(0x3F808001), 0x3F81);
  EXPECT_EQ(round(0x3F807FFF), 0x3F80);
  EXPECT_EQ(round(0x7F7FFFFF), 0x7F80);  // beyond the largest: infinity
  EXPECT_EQ(round(0x7F800001) & 0x7F80, 0x7F80);
  EXPECT_NE(round(0x7F800001) & 0x7F, 0);  // a NaN with low payload bits does not become infinity
}

static_assert(f16_to_f32(0x3C00) == 1.0f && f32_to_f16(1.0f) == 0x3C00);

}  // namespace
}  // namespace kedge
