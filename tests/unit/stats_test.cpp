#include "kedge/spec/stats.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace kedge::tests {
namespace {

TEST(Stats, CalibrationIsByTenths) {
  Stats s;
  EXPECT_TRUE(std::isnan(s.calibration_error()));
  const float confidences[] = {0.9f, 0.9f, 0.3f, NAN};
  window::Trial t;
  t.asked = t.proposed = t.kept = 4;
  t.rows = 5;
  t.evaluated = 3;
  t.accepted = 2;
  t.confidences = confidences;
  t.source = 2;
  s.see(t, {});
  EXPECT_EQ(s.bin[9].guesses, 2);
  EXPECT_EQ(s.bin[9].held, 2);
  EXPECT_EQ(s.bin[3].guesses, 1);
  EXPECT_EQ(s.bin[3].held, 0);
  EXPECT_NEAR(s.calibration_error(), (0.2 + 0.3) / 3, 1e-6);
  EXPECT_EQ(s.source[2].rounds, 1);
  EXPECT_EQ(s.source[2].evaluated, 3);
  EXPECT_EQ(s.plain_rounds, 0);
}

TEST(Stats, SpeedUpIsAgainstRoundsOfOneRow) {
  Stats s;
  window::Trial plain;
  plain.target_ms = 10;
  s.see(plain, {});
  window::Trial wide;
  wide.asked = wide.proposed = wide.kept = wide.evaluated = wide.accepted = 3;
  wide.rows = 4;
  wide.target_ms = 14;
  s.see(wide, {"most tokens per second", 3, 3.5, 14, 10});
  s.tokens = 5;  // in 24 ms
  s.target_ms = 24;
  EXPECT_NEAR(s.measured_speedup(), 50.0 / 24, 1e-9);
  EXPECT_NEAR(s.expected_speedup(), 35.0 / 14, 1e-9);
  EXPECT_STREQ(s.reason[1].text, "most tokens per second");
  EXPECT_EQ(s.reason[1].drafts, 3);
}

TEST(Stats, ConditionalIsOfThoseThatGotThere) {
  Stats s;
  s.rounds = 10;
  s.reached[0] = 8;  // two rounds without a draft
  s.reached[1] = 4;
  s.held[0] = 6;
  s.held[1] = 3;
  EXPECT_DOUBLE_EQ(s.survival(0), 0.6);
  EXPECT_DOUBLE_EQ(s.survival(1), 0.3);
  EXPECT_DOUBLE_EQ(s.conditional(0), 0.75);
  EXPECT_DOUBLE_EQ(s.conditional(1), 0.75);
}

}  // namespace
}  // namespace kedge::tests
