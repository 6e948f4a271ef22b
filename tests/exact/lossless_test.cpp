// Rejection and block verification in a session: two tokens that a real, if tiny, model continues a
// text with come as often as the model says, whatever the drafter guesses and was drawn from; at
// temperature 0 the text is plain text; what ends a text ends it inside a block too.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "exact/errors.hpp"
#include "exact/model_path.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/scripted.hpp"
#include "kedge/sample/noise.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {
namespace {

using Tokens = std::vector<std::int32_t>;
using Pair = std::pair<std::int32_t, std::int32_t>;
constexpr std::int64_t lossless_prompt = 12;

// Guesses from a distribution of its own, which knows nothing of the model, or is certain.
struct Wrong {
  bool certain;
  Tokens tokens;
  std::vector<float> probabilities;

  Status begin(std::span<const std::int32_t>) { return {}; }
  Status append(std::span<const std::int32_t>) { return {}; }
  Status truncate(std::int64_t) { return {}; }
  Status propose(const draft::Ask& ask, draft::Draft& draft) {
    EXPECT_FALSE(ask.share_noise);
    EXPECT_FALSE(ask.tree);
    for (std::int64_t i = 0; i < std::min<std::int64_t>(ask.count, 2); ++i) {
      if (certain) {
        draft.push(tokens[static_cast<std::size_t>(ask.position + i) % 4]);
        continue;
      }
      const noise::Place place{ask.position, noise::Stream::draft, i};
      draft.push(draw({tokens, probabilities}, noise::uniform(ask.sampling->seed, place)));
      KEDGE_CHECK(draft.set_distribution(i, tokens, probabilities));
    }
    return {};
  }
  void feedback(const draft::Outcome&) {}
  const char* name() const { return "wrong"; }
};

SamplingOptions sampling(std::uint64_t seed, bool top_p, float temperature) {
  SamplingOptions o;
  o.temperature = temperature;
  o.top_k = top_p ? 0 : 5;
  o.top_p = top_p ? 0.8f : 1;
  o.repetition_penalty = 1.1;
  o.seed = seed;
  return o;
}

class Lossless : public ::testing::TestWithParam<std::tuple<Verification, bool, bool>> {
 protected:
  void SetUp() override {
    TinySpec spec = tiny_spec({Element::f32}, 4);
    model_ = load_tiny(spec);
    ASSERT_NE(model_, nullptr);
    prompt_ = random_tokens(17, lossless_prompt, spec.vocabulary);
  }
  void compare(int draws, double least_accepted);
  Session make(std::int64_t max_draft) {
    auto session = Session::create(model_, {.context = 64, .max_draft = max_draft});
    EXPECT_TRUE(session) << show(session.error());
    EXPECT_TRUE(session->begin(prompt_));
    return *std::move(session);
  }
  // How probable each pair behind the prompt and its greedy token is, by the model's own logits.
  std::map<Pair, double> expected(bool top_p) {
    Session session = make(0);
    session.set_least_need(Need::logits);
    const auto vocabulary = static_cast<std::size_t>(model_->config().vocabulary);
    auto sampler = *Sampler::create(cpu::best_isa(), model_->config().vocabulary,
                                    sampling(0, top_p, temperature_));
    Tokens ids[2] = {Tokens(vocabulary), Tokens(vocabulary)};
    std::vector<float> shares[2] = {std::vector<float>(vocabulary), std::vector<float>(vocabulary)};
    const auto next = [&](int depth) {
      Sampler::Draw draw;
      draw.logits = session.forward().logits(0);
      draw.text = session.text().first(static_cast<std::size_t>(lossless_prompt + 1 + depth));
      draw.position = lossless_prompt + 1 + depth;
      return *sampler.distribution(draw, ids[depth], shares[depth]);
    };
    std::map<Pair, double> all;
    EXPECT_TRUE(session.round(1));
    const Distribution first = next(0);
    for (std::size_t i = 0; i < first.tokens.size(); ++i) {
      EXPECT_TRUE(session.rewind(lossless_prompt + 1));
      EXPECT_TRUE(session.extend(std::span(&first.tokens[i], 1)));
      const Distribution second = next(1);
      for (std::size_t j = 0; j < second.tokens.size(); ++j)
        all[{first.tokens[i], second.tokens[j]}] =
            double(first.probabilities[i]) * double(second.probabilities[j]);
    }
    return all;
  }

  std::shared_ptr<const Model> model_;
  Tokens prompt_;
  float temperature_ = 1.5f;
};

// SmolLM2-135M-Instruct, when the file is there: a vocabulary of 49,152, of which the drafter knows
// seven tokens.
class LosslessReal : public Lossless {
 protected:
  void SetUp() override {
    const std::string path = real_model_path();
    if (!std::filesystem::exists(path))
      GTEST_SKIP() << "no model at " << path << "; set KEDGE_MODEL to its path";
    static auto model = Model::load(path.c_str(), {});
    ASSERT_TRUE(model) << show(model.error());
    model_ = *model;
    temperature_ = 0.8f;
    // Where the text stands is of no matter, as long as what comes next is open.
    prompt_ = random_tokens(23, lossless_prompt, model_->config().vocabulary);
  }
};

void Lossless::compare(int draws, double least_accepted) {
  const auto [verification, certain, top_p] = GetParam();
  const std::map<Pair, double> all = expected(top_p);
  ASSERT_GT(all.size(), 10u);
  // Some that are likely, some that are not, and one that never comes.
  std::map<std::int32_t, double> first;
  for (const auto& [pair, share] : all) first[pair.first] += share;
  Wrong drafter{certain, {}, {}};
  std::vector<std::pair<double, std::int32_t>> likely;
  for (const auto& [token, share] : first) likely.emplace_back(-share, token);
  std::sort(likely.begin(), likely.end());
  for (std::size_t i = 0; i < likely.size() && i < 3; ++i)
    drafter.tokens.push_back(likely[i].second);
  for (std::size_t i = 0; i + 3 < likely.size() && i < 3; ++i)
    drafter.tokens.push_back(likely[likely.size() - 1 - i].second);
  for (std::int32_t t = 0; drafter.tokens.size() < 7; ++t)
    if (!first.contains(t)) drafter.tokens.push_back(t);
  for (std::size_t i = 0; i < drafter.tokens.size(); ++i)
    drafter.probabilities.push_back(i == 1 ? 0.4f : 0.1f);

  Session session = make(2);
  ASSERT_TRUE(session.set_verification(verification));
  session.set_drafter(*draft::AnyDrafter::make(drafter));
  std::map<Pair, int> seen;
  std::int64_t accepted = 0;
  for (int seed = 0; seed < draws; ++seed) {
    ASSERT_TRUE(session.rewind(lossless_prompt + 1));
    ASSERT_TRUE(
        session.set_sampling(sampling(static_cast<std::uint64_t>(seed), top_p, temperature_)));
    while (session.text().size() < lossless_prompt + 3) {
      const auto left = static_cast<std::int64_t>(lossless_prompt + 3 - session.text().size());
      const auto round = session.round(left + 1);  // drafts of two, of which one may be too many
      ASSERT_TRUE(round) << show(round.error());
      accepted += round->accepted;
    }
    ++seen[{session.text()[lossless_prompt + 1], session.text()[lossless_prompt + 2]}];
  }
  EXPECT_GT(static_cast<double>(accepted), least_accepted * draws);
  double chi = 0, rest = 0, rest_seen = 0;
  int cells = 0;
  for (const auto& [pair, share] : all) {
    const double wanted = share * draws, found = seen[pair];
    if (wanted < 8) {
      rest += wanted;
      rest_seen += found;
      continue;
    }
    chi += (found - wanted) * (found - wanted) / wanted;
    ++cells;
  }
  int counted = 0;
  for (const auto& [pair, count] : seen) counted += all.contains(pair) ? count : 0;
  EXPECT_EQ(counted, draws) << "tokens came that the sampler never draws";
  if (rest > 8) {
    chi += (rest_seen - rest) * (rest_seen - rest) / rest;
    ++cells;
  }
  // The chi-square of so many degrees of freedom passes this once in 10,000 times (Wilson and
  // Hilferty's approximation); seeds are fixed.
  const double k = cells - 1, cube = 1 - 2 / (9 * k) + 3.719 * std::sqrt(2 / (9 * k));
  EXPECT_LT(chi, k * cube * cube * cube) << cells << " cells";
  RecordProperty("chi", std::to_string(chi));
}

TEST_P(Lossless, TwoTokensComeAsOftenAsTheModelSays) { compare(20000, 0.05); }
TEST_P(LosslessReal, SlowTwoTokensComeAsOftenAsTheModelSays) { compare(1000, 0.02); }

const auto all_ways =
    ::testing::Combine(::testing::Values(Verification::rejection, Verification::block),
                       ::testing::Bool(), ::testing::Bool());
std::string name_of(const ::testing::TestParamInfo<std::tuple<Verification, bool, bool>>& test) {
  return std::string(kedge::to_string(std::get<0>(test.param))) +
         (std::get<1>(test.param) ? "_certain" : "_drawn") +
         (std::get<2>(test.param) ? "_top_p" : "_top_k");
}
INSTANTIATE_TEST_SUITE_P(All, Lossless, all_ways, name_of);
INSTANTIATE_TEST_SUITE_P(All, LosslessReal, all_ways, name_of);

TEST(LosslessGreedy, IsPlainTextAndEndsAsItDoes) {
  const TinySpec spec = tiny_spec({Element::q8_0}, 4);
  const auto model = load_tiny(spec);
  const Tokens prompt = random_tokens(9, 30, spec.vocabulary);
  auto plain = Session::create(model, {});
  ASSERT_TRUE(plain->begin(prompt));
  while (plain->text().size() < 100) ASSERT_TRUE(plain->round(1));
  const Tokens truth(plain->text().begin() + 30, plain->text().end());
  // An end token that the text has, but not at once.
  std::int32_t end = -1;
  std::size_t at = 5;
  for (; at < truth.size() && end < 0; ++at)
    if (std::find(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(at), truth[at]) ==
        truth.begin() + static_cast<std::ptrdiff_t>(at))
      end = truth[at];
  ASSERT_GE(end, 0);
  for (const Verification v :
       {Verification::coupled, Verification::rejection, Verification::block}) {
    auto session = Session::create(model, {});
    ASSERT_TRUE(session->set_verification(v));
    EXPECT_EQ(session->verification(), v);
    session->set_drafter(*draft::AnyDrafter::make(draft::Scripted(
        truth, {{8, 8}, {5, 2}, {3, 0}}, static_cast<std::int32_t>(spec.vocabulary))));
    GenerateOptions options;
    options.max_tokens = 70;
    ASSERT_EQ(*session->generate(prompt, options), StopReason::token_limit);
    EXPECT_TRUE(std::equal(plain->text().begin(), plain->text().end(), session->text().begin()))
        << to_string(v);
    EXPECT_GT(session->stats().accepted, 30);
    options.end_tokens = {&end, 1};
    ASSERT_EQ(*session->generate(prompt, options), StopReason::end_token);
    EXPECT_EQ(session->text().size(), 30 + at) << to_string(v);
    EXPECT_EQ(session->length(), static_cast<std::int64_t>(30 + at - 1)) << to_string(v);
  }
}

}  // namespace
}  // namespace kedge::tests
