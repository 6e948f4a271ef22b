// What DSpark drafts draw, against the logits that they drew from and the target's own sampler.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kedge/sample/sampler.hpp"
#include "unit/dspark_golden.hpp"

namespace kedge::tests {
namespace {

using draft::Ask;
using draft::Draft;
using draft::Dspark;

// Guesses that are drawn: the chain is that of the tokens drawn, and what is kept as their
// distribution is the softmax of the corrected logits at the target's temperature.
TEST(DsparkDrawing, DrawnGuessesKeepWhatTheyWereDrawnFrom) {
  for (const char* name : {"gated", "bonus_rnn"}) {
    const Golden golden(name);
    const auto model = *load_draft(name);
    Dspark drafter = make_dspark(name);
    auto draft = *Draft::create({31, 31 * 64});
    go_to_round(drafter, golden, 0, 1000);
    bool differs = false;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SamplingOptions sampling;
      sampling.temperature = 0.8;
      sampling.seed = seed;
      Ask ask = ask_behind(golden, 0, 31, sampling);
      ask.share_noise = false;
      draft.clear();
      ASSERT_TRUE(drafter.propose(ask, draft));
      ASSERT_EQ(draft.size(), std::int64_t(golden.length));
      for (std::int64_t j = 0; j < draft.size(); ++j) {
        const auto q = draft.distribution(j);
        const auto row = drafter.logits(j);
        ASSERT_EQ(q.tokens.size(), 48u);  // the whole vocabulary of this draft
        double sum = 0, total = 0;
        const float most = *std::max_element(row.begin(), row.end());
        for (const float x : row) total += std::exp((double{x} - most) / 0.8);
        bool drawn = false;
        for (std::size_t i = 0; i < q.tokens.size(); ++i) {
          drawn = drawn || q.tokens[i] == draft.tokens()[std::size_t(j)];
          sum += q.probabilities[i];
        }
        EXPECT_TRUE(drawn);
        EXPECT_NEAR(sum, 1, 1e-5);
        for (std::int32_t d = 0; d < 48; ++d) {
          const auto at = std::find(q.tokens.begin(), q.tokens.end(), model->target_token(d));
          ASSERT_NE(at, q.tokens.end());
          EXPECT_NEAR(q.probabilities[std::size_t(at - q.tokens.begin())],
                      std::exp((double{row[std::size_t(d)]} - most) / 0.8) / total, 1e-6);
        }
        differs = differs || draft.tokens()[std::size_t(j)] != golden.drafts[std::size_t(j)];
      }
    }
    EXPECT_TRUE(differs);
    // Shared noise: certain guesses, and other ones than with noise of its own.
    SamplingOptions sampling;
    sampling.temperature = 0.8;
    sampling.seed = 3;
    draft.clear();
    ASSERT_TRUE(drafter.propose(ask_behind(golden, 0, 31, sampling), draft));
    EXPECT_TRUE(draft.distribution(0).tokens.empty());
    // Little room for distributions: each guess has its share of it, of the most probable tokens.
    auto small = *Draft::create({31, 100});
    Ask ask = ask_behind(golden, 0, 31, sampling);
    ask.share_noise = false;
    ASSERT_TRUE(drafter.propose(ask, small));
    ASSERT_EQ(small.size(), std::int64_t(golden.length));
    for (std::int64_t j = 0; j < small.size(); ++j) {
      const auto q = small.distribution(j);
      EXPECT_GE(q.tokens.size(), 100 / golden.length);
      EXPECT_LT(q.tokens.size(), 48u);
      EXPECT_NEAR(std::accumulate(q.probabilities.begin(), q.probabilities.end(), 0.0), 1, 1e-5);
      EXPECT_GT(q.of(small.tokens()[std::size_t(j)]), 0);
    }
  }
}

// With the target's noise a guess is what the target would draw from the draft's logits, put where
// it has its tokens: penalties, bias and filters included, drawn or not.
TEST(DsparkDrawing, DrawsWithPenaltiesAndFiltersOfItsTarget) {
  const LogitBias bias[] = {{7, 1.5F}};
  SamplingOptions filtered;
  filtered.temperature = 1.2;
  filtered.top_k = 9;
  filtered.top_p = 0.8;
  SamplingOptions penalized = filtered;
  penalized.repetition_penalty = 3;
  penalized.logit_bias = bias;
  SamplingOptions coldly = penalized;
  coldly.temperature = 0;
  for (const char* name : {"gated", "bonus_rnn"}) {
    const Golden golden(name);
    const auto model = *load_draft(name);
    const std::int64_t vocabulary = model->config().backbone.vocabulary;
    std::vector<std::vector<std::int32_t>> drafts;
    for (SamplingOptions sampling : {filtered, penalized, coldly}) {
      Dspark drafter = make_dspark(name);
      auto draft = *Draft::create({31, 0});
      go_to_round(drafter, golden, 0, 1000);
      for (sampling.seed = 1; sampling.seed <= 5; ++sampling.seed) {
        Sampler sampler = *Sampler::create(cpu::Isa::best, vocabulary, sampling);
        draft.clear();
        const Ask ask = ask_behind(golden, 0, 31, sampling);
        ASSERT_TRUE(drafter.propose(ask, draft));
        ASSERT_EQ(draft.size(), std::int64_t(golden.length));
        const std::span text(golden.tokens.data(), std::size_t(ask.position));
        for (std::int64_t j = 0; j < draft.size(); ++j) {
          std::vector<float> placed(std::size_t(vocabulary),
                                    -std::numeric_limits<float>::infinity());
          const auto row = drafter.logits(j);
          for (std::size_t d = 0; d < row.size(); ++d)
            placed[std::size_t(model->target_token(std::int32_t(d)))] = row[d];
          Sampler::Draw draw;
          draw.logits = placed;
          draw.position = ask.position + j;
          draw.text = text;
          draw.drafts = draft.tokens().first(std::size_t(j));
          EXPECT_EQ(draft.tokens()[std::size_t(j)], *sampler.choose(draw))
              << name << ", seed " << sampling.seed << ", guess " << j;
        }
        drafts.emplace_back(draft.tokens().begin(), draft.tokens().end());
      }
    }
    EXPECT_NE(drafts[0], drafts[5]) << "the penalties change nothing";
  }
}

}  // namespace
}  // namespace kedge::tests
