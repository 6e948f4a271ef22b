#include "kedge/sample/noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <vector>

namespace {

using namespace kedge;

// The known answers that come with Random123 (Salmon et al.), 10 rounds.
static_assert(Philox::block({0, 0, 0, 0}, {0, 0}) ==
              Philox::Counter{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
static_assert(Philox::block({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
              Philox::Counter{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
static_assert(Philox::block({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                            {0xa4093822u, 0x299f31d0u}) ==
              Philox::Counter{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});

TEST(Noise, EveryTokenPositionAndSeedHasItsOwn) {
  std::set<std::uint64_t> seen;
  std::size_t count = 0;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32})
    for (const std::int64_t position : {0LL, 1LL, 2LL, 1LL << 32, (1LL << 32) + 1})
      for (std::int32_t token = 0; token < 300; ++token, ++count)
        seen.insert(noise::bits(seed, position, token));
  EXPECT_EQ(seen.size(), count);
}

// Streams and steps have their own, and that of the target is what it always was.
TEST(Noise, StreamsAreApart) {
  using noise::Stream;
  EXPECT_EQ(noise::bits(7, 5, 3), noise::bits(7, {5, Stream::target, 0}, 3));
  std::set<std::uint64_t> seen;
  std::set<double> numbers;
  std::size_t count = 0, uniforms = 0;
  for (const Stream stream : {Stream::target, Stream::draft, Stream::accept, Stream::residual})
    for (std::int64_t step = 0; step < 40; ++step, ++uniforms) {
      for (std::int32_t token = 0; token < 100; ++token, ++count)
        seen.insert(noise::bits(1, {9, stream, step}, token));
      const double u = noise::uniform(1, {9, stream, step});
      EXPECT_GT(u, 0);
      EXPECT_LT(u, 1);
      numbers.insert(u);
    }
  EXPECT_EQ(seen.size(), count);
  EXPECT_EQ(numbers.size(), uniforms);
}

TEST(Noise, UniformNumbersAreUniform) {
  constexpr int cells = 20, draws = 100000;
  std::vector<int> seen(cells);
  for (int i = 0; i < draws; ++i)
    ++seen[static_cast<std::size_t>(cells * noise::uniform(4, {i, noise::Stream::accept, 0}))];
  double statistic = 0;
  for (const int n : seen)
    statistic += (n - draws / cells) * (n - draws / cells) / (1.0 * draws / cells);
  EXPECT_LT(statistic, 50) << "19 degrees of freedom, 0.9999 quantile 50.8";
}

TEST(Noise, LogExponentialIsAccurate) {
  const auto expect = [](std::uint64_t bits) {
    const long double w = (static_cast<long double>(bits) + 0.5L) * 0x1p-64L;
    const long double one_minus = (static_cast<long double>(~bits) + 0.5L) * 0x1p-64L;
    const long double e = w < 0.5L ? -std::log1p(-w) : -std::log(one_minus);
    EXPECT_NEAR(noise::log_exponential(bits), static_cast<double>(std::log(e)), 1e-13) << bits;
  };
  for (const std::uint64_t bits :
       {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, ~std::uint64_t{0} - 1,
        std::uint64_t{1} << 63, (std::uint64_t{1} << 58) - 1, std::uint64_t{1} << 58})
    expect(bits);
  std::mt19937_64 rng(1);
  for (int i = 0; i < 20000; ++i) expect(rng() >> rng() % 64);
  for (int i = 0; i < 20000; ++i) expect(~(rng() >> rng() % 64));
}

}  // namespace
