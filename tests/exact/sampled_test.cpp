// Sampled texts with speculation are sampled texts without, byte for byte: penalties, filters, bias
// and a constraint see what plain decoding shows them, and rejected drafts leave no trace.
#include "exact/sampled.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/all_executors.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t most_drafts = 7, count = 140;

std::vector<draft::Scripted::Step> every_pair() {
  std::vector<draft::Scripted::Step> steps;
  for (std::int64_t proposed = 0; proposed <= most_drafts; ++proposed)
    for (std::int64_t accepted = 0; accepted <= proposed; ++accepted)
      steps.push_back({proposed, accepted});
  std::mt19937_64 rng(7);
  std::shuffle(steps.begin(), steps.end(), rng);
  return steps;
}

class Sampled : public ::testing::TestWithParam<Element> {
 protected:
  void SetUp() override {
    spec_ = tiny_spec(GetParam(), 4);
    model_ = load_tiny(spec_);
    ASSERT_NE(model_, nullptr);
    prompt_ = random_tokens(9, 37, spec_.vocabulary);
  }
  Decoded plain(const Style& style, const Session::Options& options = {}) {
    Session session = make_session(model_, style, options);
    return must_decode(session, prompt_, count);
  }
  void expect_equal(const Style& style, const Decoded& expected, draft::AnyDrafter drafter,
                    const Session::Options& options, const std::string& what) {
    Session session = make_session(model_, style, options);
    session.set_drafter(std::move(drafter));
    const Decoded found = must_decode(session, prompt_, count, {}, poison_uncommitted);
    EXPECT_EQ(found.tokens, expected.tokens) << style.name << ", " << what;
    EXPECT_TRUE(same_bytes(expected.logits, found.logits)) << style.name << ", " << what;
    EXPECT_GT(found.stats.proposed, 0) << style.name << ", " << what;
    accepted_ += found.stats.accepted;
    undone_ += found.stats.rejected_rows;
  }

  TinySpec spec_;
  std::shared_ptr<const Model> model_;
  std::vector<std::int32_t> prompt_;
  std::int64_t accepted_ = 0, undone_ = 0;
};

TEST_P(Sampled, EveryProposedAndAcceptedPair) {
  for (const Style& style : styles()) {
    const Decoded expected = plain(style);
    EXPECT_GT(std::set(expected.tokens.begin(), expected.tokens.end()).size(), 8u) << style.name;
    expect_equal(style, expected, script(expected.tokens, every_pair(), spec_.vocabulary), {},
                 "every pair");
  }
  EXPECT_GT(accepted_, 500);
  EXPECT_GT(undone_, 100);
}

TEST_P(Sampled, LookupOnAnotherIsaAndExecutor) {
  const auto two = make_pool_executor(2);
  ASSERT_TRUE(two);
  for (const Style& style : styles()) {
    const Decoded expected = plain(style);
    Session::Options options;
    expect_equal(style, expected, lookup(1), options, "as it is");
    if (!style.json && style.sampling.top_p == 1) continue;  // the others have every part
    options.isa = cpu::Isa::scalar;
    expect_equal(style, expected, lookup(1), options, "scalar");
    options.isa = cpu::Isa::best;
    options.executor = two->get();
    options.prefill_rows = 5;
    expect_equal(style, expected, lookup(1), options, "two threads");
  }
  EXPECT_GT(accepted_, 0);
  EXPECT_GT(undone_, 0);
}

TEST_P(Sampled, SeedsAndTemperaturesDiffer) {
  std::set<std::vector<std::int32_t>> texts;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    Style style{"", {.temperature = 1, .seed = seed}};
    texts.insert(plain(style).tokens);
    EXPECT_FALSE(texts.insert(plain(style).tokens).second) << "the same seed, the same text";
    style.sampling.temperature = 0.5;
    texts.insert(plain(style).tokens);
  }
  EXPECT_EQ(texts.size(), 8u);
}

// What is reported belongs to the model's own logits, whatever was done to them before the draw.
TEST_P(Sampled, LogprobsAreThoseOfTheLogits) {
  for (const Style& style : styles()) {
    std::vector<float> expected;
    for (const bool speculative : {false, true}) {
      Session session = make_session(model_, style);
      ASSERT_TRUE(session.report_logprobs(3));
      if (speculative) session.set_drafter(lookup(1));
      struct Told {
        std::vector<float> logprobs;
        std::vector<std::int32_t> tokens;
        bool sound = true;
      } told;
      GenerateOptions generate;
      generate.max_tokens = 60;
      generate.context = &told;
      generate.on_token = [](void* context, const TokenEvent& e) noexcept {
        auto& t = *static_cast<Told*>(context);
        t.tokens.push_back(e.id);
        t.logprobs.push_back(e.logprob);
        t.sound = t.sound && e.logprob <= e.alternatives[0].logprob && e.alternatives.size() == 3 &&
                  e.alternatives[1].logprob >= e.alternatives[2].logprob;
        for (const Alternative& a : e.alternatives)
          t.sound = t.sound && (a.id != e.id || a.logprob == e.logprob);
        return true;
      };
      ASSERT_TRUE(session.generate(prompt_, generate));
      EXPECT_TRUE(told.sound) << style.name;
      ASSERT_EQ(told.logprobs.size(), 60u);
      if (!speculative) expected = told.logprobs;
      EXPECT_EQ(told.logprobs, expected) << style.name;
      // Against the logits of a session that only looks.
      Session plain_session = make_session(model_, style);
      const Decoded d = must_decode(plain_session, prompt_, 60);
      EXPECT_EQ(d.tokens, told.tokens);
      for (std::size_t i = 0; i < 60; ++i) {
        const auto position = static_cast<std::int64_t>(prompt_.size() + i) - 1;
        EXPECT_EQ(told.logprobs[i],
                  log_probability(cpu::best_isa(), d.logits.row(position), d.tokens[i]));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Sampled, ::testing::Values(Element::f32, Element::q4_1),
                         ElementName());

}  // namespace
}  // namespace kedge::tests
