#include <gtest/gtest.h>

#include <cmath>

#include "kedge/spec/adaptive.hpp"
#include "kedge/spec/best.hpp"
#include "unit/virtual_clock.hpp"

namespace kedge::tests {
namespace {

using window::AnyWindow;
using window::Trial;

draft::Draft draft_of(std::initializer_list<float> confidences) {
  auto draft = *draft::Draft::create({.capacity = 16});
  for (const float c : confidences) draft.push(7, c);
  return draft;
}

TEST(FixedWindow, IsWhatItSays) {
  window::Fixed fixed(4);
  EXPECT_EQ(fixed.ask(16, 0), 4);
  EXPECT_EQ(fixed.ask(3, 0), 3);
  EXPECT_EQ(fixed.keep(draft_of({1, 1, 1, 1, 1}), 16), 4);
  EXPECT_EQ(fixed.keep(draft_of({1, 1}), 16), 2);
  EXPECT_EQ(window::Fixed(0).ask(16, 0), 0);
}

TEST(ConfidenceWindow, CutsByValueOrByProduct) {
  const auto keep = [](window::Confidence::Options options, std::initializer_list<float> c) {
    return window::Confidence(options).keep(draft_of(c), 16);
  };
  EXPECT_EQ(keep({.threshold = 0.5}, {0.9f, 0.8f, 0.4f, 0.9f}), 2);
  EXPECT_EQ(keep({.threshold = 0.5}, {0.1f}), 0);
  EXPECT_EQ(keep({.threshold = 0}, {0.1f, 0.0f}), 2);
  EXPECT_EQ(keep({.threshold = 0.5, .product = true}, {0.9f, 0.8f, 0.6f, 0.9f}), 2);
  EXPECT_EQ(keep({.threshold = 0.5, .min = 3}, {0.1f, 0.1f, 0.1f, 0.1f}), 3);
  EXPECT_EQ(keep({.threshold = 0.5, .max = 2}, {0.9f, 0.9f, 0.9f}), 2);
  EXPECT_EQ(keep({.threshold = 0.5}, {NAN, 0.9f, NAN}), 3) << "unknown ones stay";
}

TEST(RecordedWindow, ReplaysAndThenIsPlain) {
  const window::Recorded::Length lengths[] = {{4, 2}, {0, 0}, {8, 8}};
  auto recorded = window::Recorded::create(lengths);
  ASSERT_TRUE(recorded);
  const auto draft = draft_of({1, 1, 1, 1, 1});
  for (int turn = 0; turn < 2; ++turn) {
    recorded->begin();
    EXPECT_EQ(recorded->ask(16, 0), 4);
    EXPECT_EQ(recorded->keep(draft, 16), 2);
    recorded->learn({});
    EXPECT_EQ(recorded->ask(16, 0), 0);
    recorded->learn({});
    EXPECT_EQ(recorded->ask(5, 0), 5);
    EXPECT_EQ(recorded->keep(draft, 16), 5);
    recorded->learn({});
    EXPECT_EQ(recorded->ask(16, 0), 0);
  }
  const window::Recorded::Length wrong[] = {{1, 2}};
  EXPECT_FALSE(window::Recorded::create(wrong));
}

Trial outcome(std::int64_t kept, std::int64_t accepted, double ms = 10) {
  Trial t;
  t.asked = t.proposed = t.kept = kept;
  t.accepted = accepted;
  t.evaluated = std::min(kept, accepted + 1);
  t.rows = 1 + kept;
  t.target_ms = ms;
  return t;
}

TEST(AdaptiveWindow, GrowsAndShrinksWithinItsBounds) {
  auto w = window::Adaptive::create({.initial = 4, .min = 2, .max = 6, .least_accepted = 0});
  ASSERT_TRUE(w);
  EXPECT_EQ(w->ask(16, 0), 4);
  w->learn(outcome(4, 4));
  EXPECT_EQ(w->window(), 5) << "all held";
  w->learn(outcome(5, 4));
  EXPECT_EQ(w->window(), 6) << "all but the last held";
  w->learn(outcome(6, 6));
  EXPECT_EQ(w->window(), 6) << "max";
  w->learn(outcome(6, 2));
  EXPECT_EQ(w->window(), 3) << "what held and one more";
  w->learn(outcome(3, 0));
  EXPECT_EQ(w->window(), 2) << "min";
  w->learn(outcome(0, 0));
  EXPECT_EQ(w->window(), 2) << "no draft says nothing";
  w->begin();
  EXPECT_EQ(w->window(), 4);
}

TEST(AdaptiveWindow, TheBreakerOpensAndTriesAgain) {
  auto w = window::Adaptive::create({.initial = 4, .min = 2, .max = 6, .pause = 3});
  ASSERT_TRUE(w);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(w->open());
    w->learn(outcome(w->ask(16, 0), 0));
  }
  EXPECT_TRUE(w->open());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(w->ask(16, 0), 0);
    w->learn(outcome(0, 0));
  }
  EXPECT_EQ(w->ask(16, 0), 2) << "a try at the least length";
  for (int i = 0; i < 4; ++i) w->learn(outcome(2, 0));
  EXPECT_TRUE(w->open());
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(w->open()) << "twice as long";
    w->learn(outcome(0, 0));
  }
  for (int i = 0; i < 4; ++i) {
    const std::int64_t asked = w->ask(16, 0);
    EXPECT_GT(asked, 0);
    w->learn(outcome(asked, asked));
  }
  EXPECT_FALSE(w->open()) << "it has recovered";
}

TEST(AdaptiveWindow, TheBreakerOpensWhereDraftsHoldButCostMore) {
  auto w = window::Adaptive::create({});
  ASSERT_TRUE(w);
  w->learn(outcome(0, 0, 10));  // a plain round
  for (int i = 0; i < 4 && !w->open(); ++i) {
    const std::int64_t asked = w->ask(16, 0);
    w->learn(outcome(asked, asked - 1, 10.5 * static_cast<double>(asked)));
  }
  EXPECT_TRUE(w->open());
}

TEST(AdaptiveWindow, OptionsAreChecked) {
  EXPECT_FALSE(window::Adaptive::create({.initial = 4, .min = 5}));
  EXPECT_FALSE(window::Adaptive::create({.initial = 8, .max = 4}));
  EXPECT_FALSE(window::Adaptive::create({.min = 0}));
  EXPECT_FALSE(window::Adaptive::create({.least_accepted = NAN}));
}

TEST(CostModel, LearnsCurvesAndStaysMonotone) {
  std::mt19937_64 rng(3);
  for (const Machine& machine : machines()) {
    spec::CostModel costs;
    EXPECT_FALSE(costs.known());
    for (int i = 0; i < 400; ++i) {
      const auto rows = static_cast<std::int64_t>(1 + rng() % 12);
      const double u = static_cast<double>(rng() >> 11) * 0x1p-53;
      costs.see(rows, machine.ms(rows) * (0.95 + 0.1 * u) * (rng() % 50 == 0 ? 5 : 1));
    }
    EXPECT_NEAR(costs.plain_ms(), machine.plain_ms, 0.06 * machine.plain_ms) << machine.name;
    for (std::int64_t rows = 2; rows <= 33; ++rows)
      EXPECT_GE(costs.ratio(rows), costs.ratio(rows - 1)) << machine.name;
    for (std::int64_t rows = 2; rows <= 12; ++rows)
      EXPECT_NEAR(costs.ms(rows), machine.ms(rows), 0.12 * machine.ms(rows))
          << machine.name << ", " << rows << " rows";
  }
}

// Attention grows with the context, so all times drift; widths that ran long ago keep their ratio.
TEST(CostModel, FollowsDriftByWhatRuns) {
  spec::CostModel costs;
  for (int i = 0; i < 20; ++i) {
    costs.see(1, 10);
    costs.see(4, 14);
  }
  for (int i = 0; i < 200; ++i) costs.see(1, 10 + 0.05 * i);
  EXPECT_NEAR(costs.ms(4), 1.4 * 20, 2);
  for (int i = 0; i < 300; ++i) costs.see(4, 28 + 0.05 * i);  // no plain round for long
  EXPECT_NEAR(costs.ms(4), 43, 3);
  EXPECT_GT(costs.plain_ms(), 26);
}

TEST(DraftCost, SeparatesWhatIsFixed) {
  spec::DraftCost cost;
  cost.see(8, 400);  // the prompt
  for (int i = 0; i < 200; ++i) cost.see(1 + i % 8, 3 + 0.5 * (1 + i % 8));
  EXPECT_NEAR(cost.ms(0), 3, 0.4);
  EXPECT_NEAR(cost.ms(8), 7, 0.5);
}

TEST(Acceptance, CalibratesConfidences) {
  std::mt19937_64 rng(1);
  spec::Acceptance acceptance;
  // A drafter that is far too sure of itself.
  for (int i = 0; i < 400; ++i) {
    const bool sure = rng() % 2 == 0;
    acceptance.see({0, 0, sure ? 0.95f : 0.35f, false}, sure ? rng() % 2 == 0 : rng() % 10 == 0);
  }
  EXPECT_NEAR(acceptance.holds({0, 0, 0.95f, false}), 0.5, 0.12);
  EXPECT_NEAR(acceptance.holds({0, 0, 0.35f, false}), 0.1, 0.08);
  EXPECT_NEAR(acceptance.holds({1, 0, 0.95f, false}), 0.95, 0.01) << "another source";
}

TEST(Acceptance, KnowsPlacesAndForgets) {
  spec::Acceptance acceptance;
  for (int i = 0; i < 100; ++i) {
    acceptance.see({0, 0, NAN, true}, true);
    acceptance.see({0, 1, NAN, true}, true);
    acceptance.see({0, 2, NAN, true}, false);
  }
  EXPECT_GT(acceptance.holds({0, 0, NAN, true}), 0.9);
  EXPECT_GT(acceptance.holds({0, 1, NAN, true}), 0.85);
  EXPECT_LT(acceptance.holds({0, 2, NAN, true}), 0.25);
  EXPECT_LT(acceptance.holds({0, 0, NAN, false}), 0.4) << "after a miss is another matter";
  for (int i = 0; i < 60; ++i) acceptance.see({0, 0, NAN, true}, false);
  EXPECT_LT(acceptance.holds({0, 0, NAN, true}), 0.2);
}

}  // namespace
}  // namespace kedge::tests
