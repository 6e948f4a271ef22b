// core/math.hpp against the C library, and a few values as bits: those may never change, since
// tables of models are made of them.
#include "kedge/core/math.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace {

namespace math = kedge::math;

TEST(Math, SineAndCosine) {
  std::mt19937_64 rng(1);
  for (const double range : {1e-3, 1.0, 10.0, 1e3, 1e6}) {
    std::uniform_real_distribution<double> uniform(-range, range);
    for (int i = 0; i < 200000; ++i) {
      const double x = uniform(rng);
      ASSERT_NEAR(math::sin(x), std::sin(x), 1e-15) << x;
      ASSERT_NEAR(math::cos(x), std::cos(x), 1e-15) << x;
    }
  }
  for (int n = -1000; n <= 600000; n += n < 1000 ? 1 : 997) {  // multiples of pi/2: worst cases
    const double x = n * 1.5707963267948966;
    ASSERT_NEAR(math::sin(x), std::sin(x), 1e-15) << x;
    ASSERT_NEAR(math::cos(x), std::cos(x), 1e-15) << x;
  }
}

TEST(Math, Exponential) {
  std::mt19937_64 rng(2);
  for (const double range : {1e-3, 1.0, 50.0, 700.0}) {
    std::uniform_real_distribution<double> uniform(-range, range);
    for (int i = 0; i < 200000; ++i) {
      const double x = uniform(rng), expected = std::exp(x);
      ASSERT_NEAR(math::exp(x) / expected, 1.0, 1e-15) << x;
    }
  }
  EXPECT_NEAR(math::exp(709.6) / std::exp(709.6), 1.0, 1e-15);
}

TEST(Math, Logarithm) {
  std::mt19937_64 rng(3);
  std::uniform_real_distribution<double> exponent(-1000.0, 1000.0), near(0.5, 2.0);
  for (int i = 0; i < 200000; ++i) {
    const double x = std::exp2(exponent(rng)), y = near(rng);
    ASSERT_NEAR(math::log(x) / std::log(x), 1.0, 1e-15) << x;
    ASSERT_NEAR(math::log(y), std::log(y), 1e-15 * std::fabs(std::log(y))) << y;
  }
  EXPECT_NEAR(math::log(5e-324) / std::log(5e-324), 1.0, 1e-15);
}

TEST(Math, SpecialValues) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  EXPECT_EQ(math::sin(0.0), 0.0);
  EXPECT_EQ(math::cos(0.0), 1.0);
  EXPECT_EQ(math::exp(0.0), 1.0);
  EXPECT_EQ(math::log(1.0), 0.0);
  EXPECT_EQ(math::exp(infinity), infinity);
  EXPECT_EQ(math::exp(-infinity), 0.0);
  EXPECT_EQ(math::log(0.0), -infinity);
  EXPECT_EQ(math::log(infinity), infinity);
  EXPECT_TRUE(std::isnan(math::log(-1.0)));
  for (const double x : {nan, infinity, -infinity}) {
    EXPECT_TRUE(std::isnan(math::sin(x)));
    EXPECT_TRUE(std::isnan(math::cos(x)));
  }
  EXPECT_TRUE(std::isnan(math::exp(nan)));
  EXPECT_TRUE(std::isnan(math::log(nan)));
}

// The bytes of many values as one number, the same in every build and on every machine.
TEST(Math, BytesAreFixed) {
  std::uint64_t hash = 14695981039346656037u;
  const auto take = [&](double x) {
    hash = (hash ^ std::bit_cast<std::uint64_t>(x)) * 1099511628211u;
  };
  for (int i = 1; i <= 10000; ++i) {
    take(math::sin(i * 0.37));
    take(math::cos(i * 91.3));
    take(math::exp(i * 0.01 - 50));
    take(math::log(i * 0.73));
  }
  EXPECT_EQ(hash, 5858196144276089366u);
}

}  // namespace
