// The vector layer on every ISA of this processor: how exact exp is, in which order sums run, how
// ties round, and that all of it gives scalar's bytes.
#include <cmath>
#include <cstdio>
#include <limits>

#include "support/operator_call.hpp"
#include "unit/simd_probe.hpp"

namespace kedge::tests {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Distance in units of the last place of the expected value's F32 neighbourhood.
double ulp_error(float found, double expected) {
  const auto nearest = static_cast<float>(expected);
  const double unit =
      double(std::nextafter(std::fabs(nearest), infinity)) - double(std::fabs(nearest));
  return std::fabs(double(found) - expected) / unit;
}

TEST(SimdMath, ExpIsWithinTwoUlp) {
  constexpr int count = 1 << 20;
  std::vector<float> x(count), y(count), scalar(count);
  for (int i = 0; i < count; ++i)  // all of [-87.3, 88], and densely around zero
    x[static_cast<std::size_t>(i)] = i % 2 == 0 ? -87.3f + 175.3f * float(i) / float(count)
                                                : (float(i) / float(count) - 0.5f) * 2.0f;
  for (const cpu::Isa isa : available_isas()) {
    cpu::simd_probe_unit(isa).exp(x.data(), y.data(), count);
    double worst = 0;
    float worst_x = 0;
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double error = ulp_error(y[at], std::exp(double(x[at])));
      if (error > worst) {
        worst = error;
        worst_x = x[at];
      }
    }
    std::printf("  %s: exp is off by at most %.3f ulp, at %.9g\n", to_string(isa), worst, worst_x);
    EXPECT_LE(worst, 2.0) << to_string(isa) << " at " << worst_x;
    if (isa == cpu::Isa::scalar) scalar = y;
    EXPECT_EQ(std::memcmp(scalar.data(), y.data(), count * sizeof(float)), 0) << to_string(isa);
  }
}

TEST(SimdMath, ExpAtTheEdges) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[16] = {0.0f,    -0.0f,    -87.3f, -87.30001f, -100.0f, -infinity, 88.0f, 89.0f,
                       1000.0f, infinity, nan,    1e-40f,     -1e-40f, -87.33f,   1.0f,  -1.0f};
  for (const cpu::Isa isa : available_isas()) {
    SCOPED_TRACE(to_string(isa));
    float y[16];
    cpu::simd_probe_unit(isa).exp(x, y, 16);
    EXPECT_EQ(y[0], 1.0f);
    EXPECT_EQ(y[1], 1.0f);
    EXPECT_GE(y[2], std::numeric_limits<float>::min()) << "the last before underflow is normal";
    EXPECT_EQ(y[3], 0.0f);
    EXPECT_EQ(y[4], 0.0f);
    EXPECT_EQ(y[5], 0.0f);
    EXPECT_TRUE(std::isfinite(y[6]));
    for (const int i : {7, 8, 9}) EXPECT_EQ(y[i], y[6]) << "saturates at e^88";
    EXPECT_TRUE(std::isnan(y[10]));
    EXPECT_EQ(y[11], 1.0f);
    EXPECT_EQ(y[12], 1.0f);
    EXPECT_EQ(y[13], 0.0f);
    EXPECT_LE(ulp_error(y[14], std::exp(1.0)), 1.0);
    EXPECT_LE(ulp_error(y[15], std::exp(-1.0)), 1.0);
  }
}

// Both over all of F32's useful range; below -87.3 e^x is 0 by definition.
TEST(SimdMath, GatesAreWithinAFewUlp) {
  constexpr int count = 1 << 19;
  std::vector<float> x(count), y(count), scalar(count);
  for (int i = 0; i < count; ++i)
    x[static_cast<std::size_t>(i)] =
        (float(i) / float(count) - 0.5f) * (i % 2 == 0 ? 174.0f : 6.0f);
  const struct {
    const char* name;
    void (*cpu::SimdProbeUnit::*of)(const float*, float*, int) noexcept;
    double (*expected)(double);
    double most;
  } gates[] = {
      {"softplus", &cpu::SimdProbeUnit::softplus,
       [](double v) { return std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v))); }, 3.0},
      {"sigmoid", &cpu::SimdProbeUnit::sigmoid, [](double v) { return 1 / (1 + std::exp(-v)); },
       4.0}};
  for (const auto& gate : gates)
    for (const cpu::Isa isa : available_isas()) {
      (cpu::simd_probe_unit(isa).*gate.of)(x.data(), y.data(), count);
      double worst = 0;
      float worst_x = 0;
      for (std::size_t i = 0; i < count; ++i)
        if (const double error = ulp_error(y[i], gate.expected(double(x[i]))); error > worst) {
          worst = error;
          worst_x = x[i];
        }
      std::printf("  %s: %s is off by at most %.3f ulp, at %.9g\n", to_string(isa), gate.name,
                  worst, worst_x);
      EXPECT_LE(worst, gate.most) << gate.name << ", " << to_string(isa) << " at " << worst_x;
      if (isa == cpu::Isa::scalar) scalar = y;
      EXPECT_EQ(std::memcmp(scalar.data(), y.data(), count * sizeof(float)), 0) << to_string(isa);
    }
}

TEST(SimdMath, GatesAtTheEdges) {
  const float x[16] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
                       0.0f,     1000.0f,   -1000.0f,
                       20.5f,    1e-40f};
  for (const cpu::Isa isa : available_isas()) {
    SCOPED_TRACE(to_string(isa));
    float y[16];
    cpu::simd_probe_unit(isa).softplus(x, y, 16);
    EXPECT_EQ(y[0], infinity);
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_FLOAT_EQ(y[3], 0.69314718f);
    EXPECT_EQ(y[4], 1000.0f);
    EXPECT_EQ(y[5], 0.0f);
    EXPECT_EQ(y[6], 20.5f);
    cpu::simd_probe_unit(isa).sigmoid(x, y, 16);
    EXPECT_EQ(y[0], 1.0f);
    EXPECT_LT(y[1], 1e-37f);  // 1 / e^88, where e^x saturates
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_EQ(y[3], 0.5f);
  }
}

TEST(SimdMath, SumsRunInOneTree) {
  std::mt19937_64 random(seed());
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  int order_matters = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    float x[16], tree[16];
    for (float& v : x) v = value(random);
    std::memcpy(tree, x, sizeof x);
    for (const int width : {8, 4, 2, 1})
      for (int i = 0; i < width; ++i) tree[i] = tree[i] + tree[i + width];
    float forward = 0, largest = x[0];
    for (const float v : x) {
      forward += v;
      largest = std::fmax(largest, v);
    }
    order_matters += forward != tree[0];
    for (const cpu::Isa isa : available_isas()) {
      ASSERT_EQ(cpu::simd_probe_unit(isa).reduce_add(x), tree[0])
          << to_string(isa) << ", seed " << seed() << ", trial " << trial;
      ASSERT_EQ(cpu::simd_probe_unit(isa).reduce_max(x), largest) << to_string(isa);
    }
  }
  EXPECT_GT(order_matters, 100) << "these values could not have told another order";
}

TEST(SimdMath, RoundsTiesToEven) {
  const float x[16] = {0.5f,  1.5f, 2.5f,       -0.5f, -1.5f,       -2.5f,   126.5f,        127.49f,
                       -3.7f, 3.2f, 1048575.5f, 0.0f,  0.49999997f, -126.5f, std::nanf(""), 7.0f};
  const std::int32_t expected[16] = {0,  2, 2,       0, -2, -2,   126,       127,
                                     -4, 3, 1048576, 0, 0,  -126, INT32_MIN, 7};
  for (const cpu::Isa isa : available_isas()) {
    std::int32_t y[16];
    cpu::simd_probe_unit(isa).round_to_i32(x, y);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(y[i], expected[i]) << to_string(isa) << ", " << x[i];
  }
}

TEST(SimdMath, MaxKeepsANanOfItsSecondOperand) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float a[16] = {1, nan, 3}, b[16] = {nan, 2, 2}, y[16];
  for (const cpu::Isa isa : available_isas()) {
    cpu::simd_probe_unit(isa).max(a, b, y);
    EXPECT_TRUE(std::isnan(y[0])) << to_string(isa);
    EXPECT_EQ(y[1], 2.0f) << to_string(isa);
    EXPECT_EQ(y[2], 3.0f) << to_string(isa);
  }
}

TEST(SimdMath, FmaRoundsOnce) {
  std::mt19937_64 random(seed());
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  int twice_differs = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    float a[16], b[16], c[16], y[16];
    for (int i = 0; i < 16; ++i) {
      a[i] = value(random);
      b[i] = value(random);
      c[i] = -a[i] * b[i];  // leaves nothing but the product's rounding error
    }
    for (const cpu::Isa isa : available_isas()) {
      cpu::simd_probe_unit(isa).fma(a, b, c, y);
      for (int i = 0; i < 16; ++i) {
        ASSERT_EQ(y[i], static_cast<float>(double(a[i]) * b[i] + c[i]))
            << to_string(isa) << ", seed " << seed();
        twice_differs += y[i] != 0;
      }
    }
  }
  EXPECT_GT(twice_differs, 1000);
}

TEST(SimdMath, PartialLoadsAndStoresStayInside) {
  float x[16];
  for (int i = 0; i < 16; ++i) x[i] = float(i + 1);
  for (const cpu::Isa isa : available_isas())
    for (int n = 0; n <= 16; ++n) {
      float y[32];
      for (float& v : y) v = -1;
      cpu::simd_probe_unit(isa).copy_first(x, y, n);
      for (int i = 0; i < 16; ++i) {
        EXPECT_EQ(y[i], i < n ? x[i] : -1.0f) << to_string(isa) << ", n " << n;
        EXPECT_EQ(y[16 + i], i < n ? x[i] : 0.0f) << to_string(isa) << ", n " << n;
      }
    }
}

TEST(SimdMath, HalvesAreTheSameEverywhere) {
  for (const cpu::Isa isa : available_isas())
    for (std::uint32_t h = 0; h < 65536; h += 16) {
      std::uint16_t in[16], out[16];
      float wide[16];
      for (std::uint32_t i = 0; i < 16; ++i) in[i] = static_cast<std::uint16_t>(h + i);
      cpu::simd_probe_unit(isa).load_f16(in, wide);
      cpu::simd_probe_unit(isa).store_f16(wide, out);
      for (int i = 0; i < 16; ++i) {
        if ((in[i] & 0x7C00) == 0x7C00 && (in[i] & 0x3FF) != 0) {
          ASSERT_TRUE(std::isnan(wide[i])) << to_string(isa) << " " << in[i];
          continue;
        }
        ASSERT_EQ(wide[i], f16_to_f32(in[i])) << to_string(isa) << " " << in[i];
        ASSERT_EQ(out[i], in[i]) << to_string(isa);
      }
    }
}

}  // namespace
}  // namespace kedge::tests
