#include "kedge/model/rope_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using namespace kedge;

std::vector<double> frequencies(std::int64_t dims, double base, const RopeScaling& scaling) {
  std::vector<double> f(static_cast<std::size_t>(dims / 2));
  const Status status = rope_frequencies(dims, base, scaling, f.data());
  EXPECT_TRUE(status.has_value()) << status.error().reason;
  return f;
}

TEST(RopeTable, PlainFrequenciesArePowersOfTheBase) {
  const auto f = frequencies(64, 10000.0, {});
  for (std::size_t i = 0; i < f.size(); ++i)
    EXPECT_NEAR(f[i] / std::pow(10000.0, -2.0 * double(i) / 64), 1.0, 1e-14) << i;
}

TEST(RopeTable, LinearScalingDividesByTheFactor) {
  const auto plain = frequencies(16, 10000.0, {});
  const auto scaled = frequencies(16, 10000.0, {RopeScalingKind::linear, 4});
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(scaled[i], plain[i] / 4);
}

TEST(RopeTable, FrequencyFactorsDivide) {
  const std::vector<float> factors = {1, 1.5f, 8, 32};
  RopeScaling scaling;
  scaling.frequency_factors = factors.data();
  const auto plain = frequencies(8, 500000.0, {}), scaled = frequencies(8, 500000.0, scaling);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(scaled[i], plain[i] / factors[i]);
}

// Frequencies that transformers 5 computes (F32) for the rope_parameters of Llama 3.2 1B.
TEST(RopeTable, Llama3ScalingMatchesTransformers) {
  const float expected[32] = {1.0f,
                              0.663601279f,
                              0.440366626f,
                              0.292227834f,
                              0.193922758f,
                              0.128687382f,
                              0.0853971019f,
                              0.0566696189f,
                              0.0376060307f,
                              0.0249554086f,
                              0.0165604409f,
                              0.0109895291f,
                              0.00729266508f,
                              0.00483942125f,
                              0.00321144611f,
                              0.00129054801f,
                              0.000429556705f,
                              9.70828623e-05f,
                              1.94616387e-05f,
                              1.29147675e-05f,
                              8.57025589e-06f,
                              5.68723226e-06f,
                              3.77405445e-06f,
                              2.50446715e-06f,
                              1.66196742e-06f,
                              1.10288363e-06f,
                              7.31874934e-07f,
                              4.85673127e-07f,
                              3.22293289e-07f,
                              2.1387423e-07f,
                              1.41927202e-07f,
                              9.41830649e-08f};
  const auto f = frequencies(64, 500000.0, {RopeScalingKind::llama3, 32, 1, 4, 8192, nullptr});
  for (std::size_t i = 0; i < 32; ++i) EXPECT_NEAR(f[i] / double(expected[i]), 1.0, 1e-6) << i;
}

// Frequencies and the factor of cosines that transformers 5 computes (F32).
TEST(RopeTable, YarnMatchesTransformers) {
  RopeScaling scaling;
  scaling.kind = RopeScalingKind::yarn;
  scaling.factor = 4;
  scaling.original_context = 32768;
  const float wide[8] = {1.0f,           0.17782793939f,  0.03162277862f,  0.005375321489f,
                         0.00060294114f, 4.445698505e-5f, 7.905693565e-6f, 1.405853368e-6f};
  const auto f = frequencies(128, 1e6, scaling);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(f[8 * i] / double(wide[i]), 1.0, 1e-6) << i;

  scaling.factor = 2.5;
  scaling.original_context = 64;
  const float narrow[12] = {1.0f,           0.3945350647f,  0.1508104205f,  0.0549999997f,
                            0.01856635325f, 0.00861773919f, 0.00400000019f, 0.00185663579f,
                            0.00086177367f, 0.0004f,        0.00018566358f, 8.617736603e-5f};
  const auto g = frequencies(24, 10000.0, scaling);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(g[i] / double(narrow[i]), 1.0, 2e-6) << i;
  std::vector<float> row(24);
  ASSERT_TRUE(fill_rope_table(tensor(row.data(), Element::f32, 1, 24), 10000.0, scaling));
  EXPECT_EQ(row[0], static_cast<float>(0.1 * std::log(2.5) + 1));
  EXPECT_EQ(row[12], 0.0f);
  scaling.attention_factor = 0.5;
  ASSERT_TRUE(fill_rope_table(tensor(row.data(), Element::f32, 1, 24), 10000.0, scaling));
  EXPECT_EQ(row[3], 0.5f);
  scaling.beta_slow = 64;
  std::vector<double> none(12);
  EXPECT_FALSE(rope_frequencies(24, 10000.0, scaling, none.data()));
}

TEST(RopeTable, RowsHoldCosinesThenSines) {
  constexpr std::int64_t positions = 300, dims = 12;
  std::vector<float> memory(positions * dims);
  const Tensor table = tensor(memory.data(), Element::f32, positions, dims);
  ASSERT_TRUE(fill_rope_table(table, 10000.0, {}));
  const auto f = frequencies(dims, 10000.0, {});
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::size_t i = 0; i < f.size(); ++i) {
      const double angle = double(p) * f[i];
      EXPECT_FLOAT_EQ(table.row<float>(p)[i], float(std::cos(angle)));
      EXPECT_NEAR(table.row<float>(p)[f.size() + i], std::sin(angle), 6e-8);
    }
}

TEST(RopeTable, ErrorsNameTheValue) {
  double f[max_rotary_dims / 2];
  const auto reason = [&](std::int64_t dims, double base, const RopeScaling& scaling) {
    const Status status = rope_frequencies(dims, base, scaling, f);
    EXPECT_FALSE(status.has_value());
    return status ? std::string() : std::string(status.error().reason);
  };
  EXPECT_NE(reason(7, 1e4, {}).find("found 7"), std::string::npos);
  EXPECT_NE(reason(4096, 1e4, {}).find("found 4096"), std::string::npos);
  EXPECT_NE(reason(8, 0, {}).find("base"), std::string::npos);
  EXPECT_NE(reason(8, std::nan(""), {}).find("base"), std::string::npos);
  EXPECT_NE(reason(8, 1e4, {RopeScalingKind::linear, -2}).find("factor"), std::string::npos);
  EXPECT_NE(reason(8, 1e4, {RopeScalingKind::llama3, 8, 4, 4, 8192, nullptr}).find("low_freq"),
            std::string::npos);
  const float zeros[4] = {1, 0, 1, 1};
  RopeScaling scaling;
  scaling.frequency_factors = zeros;
  EXPECT_NE(reason(8, 1e4, scaling).find("factor 1"), std::string::npos);
}

}  // namespace
