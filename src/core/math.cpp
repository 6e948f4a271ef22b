// Method: Cody and Waite, "Software Manual for the Elementary Functions" (1980): subtract n times a
// constant given in parts so short that n times each is exact, then a Taylor polynomial whose first
// omitted term is below half a unit in the last place.
#include "kedge/core/math.hpp"

#include <bit>
#include <cstdint>
#include <limits>

namespace kedge::inline KEDGE_ABI::math {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// 2^n for a normal result
double power_of_two(std::int64_t n) noexcept {
  return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

// Nearest integer, halves upwards; |x| < 2^62.
std::int64_t nearest(double x) noexcept {
  const double shifted = x + 0.5;
  const auto truncated = static_cast<std::int64_t>(shifted);
  return static_cast<double>(truncated) > shifted ? truncated - 1 : truncated;
}

// sin r and cos r for |r| <= pi/4 (+ a rounding), by their series to r^17 and r^16.
double sin_series(double r) noexcept {
  const double z = r * r;
  double p = 1.0 / 355687428096000.0;  // 1/17!
  p = p * z - 1.0 / 1307674368000.0;   // 1/15!
  p = p * z + 1.0 / 6227020800.0;      // 1/13!
  p = p * z - 1.0 / 39916800.0;        // 1/11!
  p = p * z + 1.0 / 362880.0;          // 1/9!
  p = p * z - 1.0 / 5040.0;            // 1/7!
  p = p * z + 1.0 / 120.0;             // 1/5!
  p = p * z - 1.0 / 6.0;               // 1/3!
  return r + r * (z * p);
}
double cos_series(double r) noexcept {
  const double z = r * r;
  double p = 1.0 / 20922789888000.0;  // 1/16!
  p = p * z - 1.0 / 87178291200.0;    // 1/14!
  p = p * z + 1.0 / 479001600.0;      // 1/12!
  p = p * z - 1.0 / 3628800.0;        // 1/10!
  p = p * z + 1.0 / 40320.0;          // 1/8!
  p = p * z - 1.0 / 720.0;            // 1/6!
  p = p * z + 1.0 / 24.0;             // 1/4!
  const double half = 0.5 * z;
  const double first = 1.0 - half;  // exact remainder: (1 - first) - half
  return first + (((1.0 - first) - half) + (z * z) * p);
}

struct Reduced {
  double r;
  unsigned quadrant;
};

// x = n pi/2 + r. pi/2 in three parts of 33 bits, so that n times a part is exact for n < 2^20.
Reduced reduce(double x) noexcept {
  constexpr double part1 = 0x1.921fb544p+0, part2 = 0x1.0b4611a6p-34, part3 = 0x1.3198a2e037073p-69;
  const std::int64_t n = nearest(x * 0x1.45f306dc9c883p-1);
  const auto f = static_cast<double>(n);
  return {((x - f * part1) - f * part2) - f * part3, static_cast<unsigned>(n & 3)};
}

double sin_quadrant(Reduced a, unsigned shift) noexcept {
  const unsigned quadrant = (a.quadrant + shift) & 3u;
  const double value = (quadrant & 1u) != 0 ? cos_series(a.r) : sin_series(a.r);
  return (quadrant & 2u) != 0 ? -value : value;
}

bool reducible(double x) noexcept { return x > -1e15 && x < 1e15; }

constexpr double ln2_high = 0x1.62e42fee00000p-1;  // 33 bits: n times it is exact for |n| < 2^20
constexpr double ln2_low = 0x1.a39ef35793c76p-33;

}  // namespace

double sin(double x) noexcept { return reducible(x) ? sin_quadrant(reduce(x), 0) : nan; }
double cos(double x) noexcept { return reducible(x) ? sin_quadrant(reduce(x), 1) : nan; }

double exp(double x) noexcept {
  if (x != x) return x;
  if (x > 709.7) return infinity;
  if (x < -708.0) return 0.0;
  const std::int64_t n = nearest(x * 0x1.71547652b82fep+0);
  const auto f = static_cast<double>(n);
  const double high = x - f * ln2_high, low = f * ln2_low;
  const double r = high - low;
  double p = 1.0;  // 1 + r/2 (1 + r/3 (1 + r/4 ...)), to r^14/14!
  for (int k = 14; k >= 2; --k) p = 1.0 + p * r / static_cast<double>(k);
  const double error = (high - r) - low;  // what rounding r lost
  const double result = 1.0 + (r * p + error);
  return n > 1023 ? result * 2.0 * power_of_two(n - 1) : result * power_of_two(n);
}

double log(double x) noexcept {
  if (x != x || x < 0) return nan;
  if (x == 0) return -infinity;
  if (x == infinity) return infinity;
  std::int64_t exponent = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    exponent = -54;
  }
  // x = m 2^exponent with sqrt(1/2) <= m < sqrt(2)
  const auto bits = std::bit_cast<std::uint64_t>(x);
  exponent += static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 atanh s with s = (m-1)/(m+1), |s| <= 0.1716; series to s^21. As in fdlibm, the
  // leading m - 1 is exact and the rest is a correction: log m = g - s (g - rest), g = m - 1.
  const double g = m - 1.0, s = g / (m + 1.0), z = s * s;
  double rest = 0.0;
  for (int k = 21; k >= 3; k -= 2) rest = z * (rest + 2.0 / static_cast<double>(k));
  const auto f = static_cast<double>(exponent);
  return f * ln2_high - ((s * (g - rest) - f * ln2_low) - g);
}

}  // namespace kedge::inline KEDGE_ABI::math
