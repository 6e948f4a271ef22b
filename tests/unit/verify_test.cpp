// Rejection and block verification: what comes out is distributed as p, for every way a draft may
// have been made, and is not when noise is shared that must not be.
#include <gtest/gtest.h>

#include "unit/verify_toy.hpp"

namespace kedge::tests {
namespace {

using noise::Stream;

constexpr int draws = 200000;

// Every text has a seed of its own.
const auto independent = [](int text, std::int64_t position) {
  return verify::RoundNoise{static_cast<std::uint64_t>(text), position};
};

struct Case {
  const char* name;
  Toy toy;
};

std::vector<Case> cases() {
  return {{"full q", {.likeness = 0.6}},
          {"unlike", {.vocabulary = 5, .drafts = 2, .likeness = 0, .seed = 2}},
          {"the same", {.likeness = 1, .seed = 3}},
          {"certain", {.certain = true, .seed = 4}},
          {"few words", {.vocabulary = 5, .words = 3, .seed = 5}},
          {"top-p", {.vocabulary = 5, .top_p = 0.8, .seed = 6}},
          {"certain, few words, top-p",
           {.vocabulary = 5, .certain = true, .words = 2, .top_p = 0.7, .seed = 7}},
          {"no drafts", {.drafts = 0, .seed = 8}}};
}

class Lossless : public testing::TestWithParam<Method> {};

TEST_P(Lossless, TextsAreAsFrequentAsTheTargetMakesThem) {
  for (const Case& c : cases()) {
    const ChiSquare test = test_texts(c.toy, GetParam(), 3, draws, independent);
    EXPECT_TRUE(test.passes()) << c.name << ": " << test.statistic << ", limit " << test.limit
                               << ", " << test.cells << " cells";
    EXPECT_GT(test.cells, 8) << c.name;
  }
}

// Draft and residual noise from one stream: the replacement is no longer independent of the guess
// that it replaces.
TEST_P(Lossless, SharedDraftAndResidualNoiseIsBiased) {
  const Toy toy{.vocabulary = 4, .likeness = 0.3, .seed = 2};
  const auto shared = [](int text, std::int64_t position) {
    return [noise = verify::RoundNoise{static_cast<std::uint64_t>(text), position}](
               Stream stream, std::int64_t step) {
      return noise(stream == Stream::residual ? Stream::draft : stream, step);
    };
  };
  EXPECT_TRUE(test_texts(toy, GetParam(), 2, draws, independent).passes());
  const ChiSquare test = test_texts(toy, GetParam(), 2, draws, shared);
  EXPECT_FALSE(test.passes()) << test.statistic << ", limit " << test.limit;
  EXPECT_GT(test.statistic, 3 * test.limit);
}

INSTANTIATE_TEST_SUITE_P(Methods, Lossless, testing::Values(Method::rejection, Method::block),
                         [](const auto& chosen) {
                           return chosen.param == Method::block ? "block" : "rejection";
                         });

// Noise by position alone, as peers have it, is enough for standard rejection, but not for block
// verification: numbers behind the accepted block have taken part in the decision, and come again.
TEST(Block, NoiseByPositionAloneIsBiased) {
  const Toy toy{.vocabulary = 3, .drafts = 3, .likeness = 0.3, .seed = 11};
  const auto by_position = [](int text, std::int64_t position) {
    return [text, position](Stream stream, std::int64_t step) {
      return noise::uniform(static_cast<std::uint64_t>(text), {position + step, stream, 0});
    };
  };
  EXPECT_TRUE(test_texts(toy, Method::block, 4, 2 * draws, independent).passes());
  EXPECT_TRUE(test_texts(toy, Method::rejection, 4, 2 * draws, by_position).passes());
  const ChiSquare test = test_texts(toy, Method::block, 4, 2 * draws, by_position);
  EXPECT_FALSE(test.passes()) << test.statistic << ", limit " << test.limit;
}

TEST(Block, AcceptsAtLeastAsManyAsRejection) {
  for (const double likeness : {0.0, 0.3, 0.6, 0.9}) {
    const Toy toy{.vocabulary = 6, .drafts = 5, .likeness = likeness, .seed = 21};
    const World world(toy);
    double tau[2] = {};
    for (const Method method : {Method::rejection, Method::block}) {
      Played all;
      for (int i = 0; i < 3000; ++i) {
        const Played one =
            play(world, method, 30, [&](std::int64_t p) { return independent(i, p); });
        all.rounds += one.rounds;
        all.accepted += one.accepted;
      }
      tau[method == Method::block] =
          static_cast<double>(all.accepted) / static_cast<double>(all.rounds);
    }
    EXPECT_GT(tau[1], tau[0]) << "likeness " << likeness;
  }
}

TEST(Rejection, GreedyTargetsTakeWhatTheyWouldSay) {
  auto draft = *draft::Draft::create({.capacity = 3});
  for (const std::int32_t token : {2, 1, 2}) draft.push(token);
  auto residual = *verify::Residual::create(4);
  const std::int32_t said[] = {2, 1, 0, 3};
  const float one[] = {1};
  const auto offer = [&](std::int64_t i) {
    return verify::Offered{{std::span(said).subspan(static_cast<std::size_t>(i), 1), one}};
  };
  for (int seed = 0; seed < 50; ++seed) {
    const verify::RoundNoise noise{static_cast<std::uint64_t>(seed), 0};
    for (const verify::Accepted& a : {verify::rejection(draft, offer, noise, residual),
                                      verify::block(draft, offer, noise, residual)}) {
      EXPECT_EQ(a.count, 2);
      EXPECT_EQ(a.evaluated, 3);
      EXPECT_EQ(a.tokens, 3);
      EXPECT_EQ(a.next, 0);
    }
  }
}

// A row that fails ends the round before it; what was accepted stays.
TEST(Rejection, AFailedRowEndsTheRound) {
  auto draft = *draft::Draft::create({.capacity = 2});
  draft.push(1);
  draft.push(1);
  auto residual = *verify::Residual::create(4);
  const std::int32_t token[] = {1};
  const float one[] = {1};
  for (std::int64_t bad = 0; bad < 3; ++bad) {
    const auto offer = [&](std::int64_t i) { return verify::Offered{{token, one}, i == bad}; };
    const verify::RoundNoise noise{1, 0};
    for (const verify::Accepted& a : {verify::rejection(draft, offer, noise, residual),
                                      verify::block(draft, offer, noise, residual)}) {
      EXPECT_EQ(a.count, bad);
      EXPECT_EQ(a.tokens, bad);
    }
  }
}

TEST(Rejection, DistributionsAreChecked) {
  const std::int32_t tokens[] = {1, 2};
  const auto refused = [&](std::int32_t token, float first, float second) {
    auto draft = *draft::Draft::create({.capacity = 2, .probabilities = 4});
    draft.push(token);
    const float p[] = {first, second};
    if (!draft.set_distribution(0, tokens, p)) return true;
    return !verify::check_distributions(draft, 3, "drafter");
  };
  EXPECT_FALSE(refused(1, 0.5f, 0.5f));
  EXPECT_TRUE(refused(0, 0.5f, 0.5f)) << "cannot have been drawn";
  EXPECT_TRUE(refused(1, 0.5f, 0.2f));
  EXPECT_TRUE(refused(1, 1.5f, -0.5f));
  EXPECT_TRUE(refused(1, NAN, 0.5f));
  auto tree = *draft::Draft::create({.capacity = 2});
  tree.push_behind(-1, 1);
  tree.push_behind(-1, 2);
  EXPECT_FALSE(verify::check_distributions(tree, 3, "drafter"));
}

}  // namespace
}  // namespace kedge::tests
