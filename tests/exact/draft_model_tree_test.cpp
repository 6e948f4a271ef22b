// Trees of a draft model: what is proposed is what the model holds likeliest, behind every place
// and altogether, and it holds at least as often as a chain of as many passes.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "exact/sampled.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/model.hpp"
#include "kedge/sample/noise.hpp"

namespace kedge::tests {
namespace {

using Tokens = std::vector<std::int32_t>;

struct TreeModel {
  const char* name;
  std::shared_ptr<const Model> (*load)();
};
void PrintTo(const TreeModel& model, std::ostream* out) { *out << model.name; }

class DraftModelTrees : public ::testing::TestWithParam<TreeModel> {
 protected:
  void SetUp() override {
    model_ = GetParam().load();
    ASSERT_NE(model_, nullptr);
  }
  std::vector<float> logits_behind(const Tokens& text) {
    Session session = make_session(model_, {"greedy", {}, false});
    session.set_least_need(Need::logits);
    EXPECT_TRUE(session.begin(text));
    const auto logits = session.forward().logits(0);
    return {logits.begin(), logits.end()};
  }
  std::shared_ptr<const Model> model_;
};

// Tokens by what the draw at a position makes of their logits: logits, plus the noise in drawing.
std::vector<std::pair<double, std::int32_t>> ranked(const std::vector<float>& logits,
                                                    const SamplingOptions& sampling,
                                                    std::int64_t position) {
  std::vector<std::pair<double, std::int32_t>> all;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    double score = double(logits[i]);
    const auto token = static_cast<std::int32_t>(i);
    if (sampling.temperature > 0)
      score -= sampling.temperature *
               noise::log_exponential(noise::bits(sampling.seed, position, token));
    all.emplace_back(-score, token);
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST_P(DraftModelTrees, TheLikeliestGuessesBehindEveryPlace) {
  constexpr std::int64_t count = 12, branches = 3;
  auto made = draft::DraftModel::create(model_, {.length = count, .branches = branches});
  ASSERT_TRUE(made) << show(made.error());
  const auto text = random_tokens(5, 40, model_->config().vocabulary);
  for (const double temperature : {0.0, 0.8}) {
    SCOPED_TRACE(temperature);
    const SamplingOptions sampling{.temperature = temperature, .seed = 4};
    ASSERT_TRUE(made->begin(text));
    draft::Draft tree = *draft::Draft::create({.capacity = 31});
    const draft::Ask ask{.count = count, .position = 40, .sampling = &sampling, .tree = true};
    ASSERT_TRUE(made->propose(ask, tree));
    // Fewer where all others are too unlikely.
    ASSERT_GE(tree.size(), 4);
    ASSERT_LE(tree.size(), count);
    EXPECT_FALSE(tree.chain()) << "a model that is never sure";
    // By place: the guesses behind it, in the order in which they were proposed.
    std::map<std::int32_t, Tokens> behind;
    std::vector<double> chance;
    for (std::size_t i = 0; i < tree.tokens().size(); ++i) {
      const std::int32_t parent = tree.parents()[i];
      ASSERT_LT(parent, static_cast<std::int32_t>(i));
      behind[parent].push_back(static_cast<std::int32_t>(i));
      chance.push_back(double(tree.confidences()[i]) *
                       (parent < 0 ? 1 : chance[static_cast<std::size_t>(parent)]));
      if (i > 0) {
        EXPECT_LE(chance[i], chance[i - 1]);
      }
    }
    for (const auto& [place, guesses] : behind) {
      Tokens path;
      for (std::int32_t at = place; at >= 0; at = tree.parents()[static_cast<std::size_t>(at)])
        path.insert(path.begin(), tree.tokens()[static_cast<std::size_t>(at)]);
      Tokens all(text.begin(), text.end());
      all.insert(all.end(), path.begin(), path.end());
      const auto logits = logits_behind(all);
      const auto best = ranked(logits, sampling, std::int64_t(all.size()));
      double sum = 0;
      const std::size_t counted = temperature == 0 ? best.size() : std::size_t{branches};
      for (std::size_t i = 0; i < counted; ++i) sum += std::exp(best[0].first - best[i].first);
      for (std::size_t i = 0; i < guesses.size(); ++i) {
        const auto guess = static_cast<std::size_t>(guesses[i]);
        EXPECT_EQ(tree.tokens()[guess], best[i].second) << "place " << place << ", guess " << i;
        EXPECT_NEAR(double(tree.confidences()[guess]),
                    std::exp(best[0].first - best[i].first) / sum, 1e-5);
      }
    }
    // The same again, and a chain where no tree is asked for.
    draft::Draft again = *draft::Draft::create({.capacity = 31}), chain = *draft::Draft::create({});
    ASSERT_TRUE(made->propose(ask, again));
    EXPECT_TRUE(std::equal(tree.tokens().begin(), tree.tokens().end(), again.tokens().begin(),
                           again.tokens().end()));
    draft::Ask plain = ask;
    plain.tree = false;
    ASSERT_TRUE(made->propose(plain, chain));
    EXPECT_TRUE(chain.chain());
    EXPECT_EQ(chain.tokens()[0], tree.tokens()[0]);
  }
}

// The likeliest branch is the greedy chain, so a model that drafts for itself is right all the way
// down: a tree is never behind the chain that is as deep.
TEST_P(DraftModelTrees, OneBranchIsTheText) {
  const Style greedy{"greedy", {}, false};
  Style drawn{"drawn", {}, false};
  drawn.sampling = {.temperature = 1, .seed = 5};
  for (const Style& style : {greedy, drawn}) {
    SCOPED_TRACE(style.name);
    Session plain = make_session(model_, style), session = make_session(model_, style);
    auto made = draft::DraftModel::create(model_, {.length = 15, .branches = 3});
    ASSERT_TRUE(made) << show(made.error());
    session.set_drafter(*draft::AnyDrafter::make(*std::move(made)));
    const auto prompt = random_tokens(4, 40, model_->config().vocabulary);
    const Decoded expected = must_decode(plain, prompt, 61);
    const Decoded found = must_decode(session, prompt, 61, {}, poison_uncommitted);
    EXPECT_EQ(found.tokens, expected.tokens);
    EXPECT_GE(found.stats.tau(), 2);  // the first guess is the text's token
  }
}

INSTANTIATE_TEST_SUITE_P(
    Architectures, DraftModelTrees,
    ::testing::Values(TreeModel{"llama", [] { return load_tiny(tiny_spec(Element::f32)); }},
                      TreeModel{"hybrid",
                                []() -> std::shared_ptr<const Model> {
                                  auto model = Model::load(KEDGE_GOLDEN_DIR "/hybrid/one.gguf", {});
                                  return model ? *std::move(model) : nullptr;
                                }}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace kedge::tests
