// Drafts that branch: the text and the logits of every row that is kept are those of plain
// decoding, byte for byte, in models of attention and in hybrids, under every policy for the state.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "exact/errors.hpp"
#include "exact/thicket.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/spec/session.hpp"
#include "unit/recurrent_toy.hpp"

namespace kedge::tests {
namespace {

using Tokens = std::vector<std::int32_t>;
using Choice = RecurrentOptions::Choice;

struct Plain {
  std::shared_ptr<const Model> model;
  Tokens text;
  std::vector<std::vector<float>> logits;  // of every position
};

constexpr std::int64_t prompt_size = 50, text_size = 230;

Plain make_plain(const std::shared_ptr<const Model>& model, const Session::Options& options) {
  Plain p{model, {}, {}};
  auto session = Session::create(model, options);
  EXPECT_TRUE(session) << show(session.error());
  session->set_least_need(Need::logits);
  EXPECT_TRUE(session->begin(random_tokens(3, prompt_size, model->config().vocabulary)));
  p.logits.resize(prompt_size - 1);
  const auto keep = [&] {
    const auto row = session->forward().logits(0);
    p.logits.emplace_back(row.begin(), row.end());
  };
  keep();
  while (static_cast<std::int64_t>(session->text().size()) < text_size) {
    EXPECT_TRUE(session->round(1));
    keep();
  }
  p.text.assign(session->text().begin(), session->text().end());
  return p;
}

void expect_plain_text(const Plain& p, const Session::Options& options, std::uint64_t seed) {
  auto session = Session::create(p.model, options);
  ASSERT_TRUE(session) << show(session.error());
  session->set_least_need(Need::logits);
  auto seen = std::make_shared<Thicket::Seen>();
  session->set_drafter(*draft::AnyDrafter::make(
      Thicket{&p.text, static_cast<std::int32_t>(p.model->config().vocabulary), seed, seen}));
  ASSERT_TRUE(session->begin(std::span(p.text).first(prompt_size)));
  std::int64_t moved = 0;
  while (static_cast<std::int64_t>(session->text().size()) < text_size) {
    const auto size = static_cast<std::int64_t>(session->text().size());
    *seen = {};
    const auto round = session->round(text_size - size);
    ASSERT_TRUE(round) << show(round.error()) << " seed " << seed;
    // The branch that was kept, from the proposal.
    std::int32_t at = -1;
    for (std::size_t i = 0; i < round->tokens.size(); ++i) {
      const auto position = static_cast<std::size_t>(size) + i;
      ASSERT_EQ(round->tokens[i], p.text[position]) << position << " seed " << seed;
      const auto row = session->forward().logits(at + 1);
      ASSERT_EQ(0, std::memcmp(row.data(), p.logits[position - 1].data(), row.size_bytes()))
          << position << " seed " << seed;
      if (static_cast<std::int64_t>(i) == round->accepted) break;
      std::int32_t next = -1;
      for (std::size_t n = 0; n < seen->tokens.size() && next < 0; ++n)
        if (seen->parents[n] == at && seen->tokens[n] == round->tokens[i])
          next = static_cast<std::int32_t>(n);
      ASSERT_GE(next, 0);
      if (next != at + 1) ++moved;
      at = next;
    }
    if (RecurrentState* state = session->recurrent()) poison_unused(*state);
  }
  EXPECT_GT(session->stats().accepted, 20);
  EXPECT_GT(moved, 10) << "no branch stood apart";
  EXPECT_GT(session->cache().moved_rows(), 0);
  EXPECT_LE(session->cache().moved_rows(), session->stats().accepted);
  EXPECT_EQ(session->stats().rerun_rows, 0);
  // What was put together goes on as any text does.
  ASSERT_TRUE(session->rewind(text_size - 20));
  session->set_drafter({});
  while (static_cast<std::int64_t>(session->text().size()) < text_size)
    ASSERT_TRUE(session->round(1));
  EXPECT_TRUE(std::equal(p.text.begin(), p.text.end(), session->text().begin()));
}

class Tree : public ::testing::TestWithParam<Element> {};

TEST_P(Tree, OfAttention) {
  for (const char* architecture : {"llama", "qwen3"}) {
    const auto model = load_tiny(tiny_spec({Element::q4_0, architecture}, 4));
    ASSERT_NE(model, nullptr);
    Session::Options options;
    options.cache = GetParam();
    const Plain p = make_plain(model, options);
    for (std::uint64_t seed = 1; seed <= 4; ++seed) expect_plain_text(p, options, seed);
  }
}
INSTANTIATE_TEST_SUITE_P(Caches, Tree, ::testing::Values(Element::f32, Element::f16, Element::bf16),
                         [](const auto& test) {
                           return std::string(kedge::to_string(test.param));
                         });

class HybridTree : public ::testing::TestWithParam<Choice> {};

TEST_P(HybridTree, HasTheBytesOfItsBranches) {
  for (const char* name : {"one", "two", "three", "unequal", "short"}) {
    auto model =
        Model::load((KEDGE_GOLDEN_DIR "/hybrid/" + std::string(name) + ".gguf").c_str(), {});
    ASSERT_TRUE(model) << show(model.error());
    Session::Options options;
    options.recurrent.choice = GetParam();
    const Plain p = make_plain(*model, options);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) expect_plain_text(p, options, seed);
  }
}
INSTANTIATE_TEST_SUITE_P(Policies, HybridTree,
                         ::testing::Values(Choice::automatic, Choice::snapshots, Choice::replay),
                         [](const auto& test) {
                           return std::string(kedge::to_string(test.param));
                         });

// A policy that keeps no state after each row cannot have trees, and drafters are told so.
TEST(TreeAsk, IsNotAskedForWhereStatesAreNotKept) {
  auto model = Model::load(KEDGE_GOLDEN_DIR "/hybrid/one.gguf", {});
  ASSERT_TRUE(model);
  struct Asked {
    bool* tree;
    Status begin(std::span<const std::int32_t>) { return {}; }
    Status append(std::span<const std::int32_t>) { return {}; }
    Status propose(const draft::Ask& ask, draft::Draft& draft) {
      *tree = ask.tree;
      draft.push(1);
      draft.push_behind(-1, 2);
      return {};
    }
    void feedback(const draft::Outcome&) {}
    const char* name() const { return "asked"; }
  };
  for (const Choice choice : {Choice::checkpoint, Choice::replay}) {
    Session::Options options;
    options.recurrent.choice = choice;
    options.recurrent.depth = 2;
    auto session = Session::create(*model, options);
    ASSERT_TRUE(session) << show(session.error());
    bool tree = true;
    session->set_drafter(*draft::AnyDrafter::make(Asked{&tree}));
    ASSERT_TRUE(session->begin(random_tokens(3, 10, (*model)->config().vocabulary)));
    EXPECT_TRUE(fails_with(session->round(10), Code::invalid_argument, {"asked", "tree"}));
    EXPECT_FALSE(tree);
    EXPECT_EQ(session->stats().rounds, 0);
  }
}

}  // namespace
}  // namespace kedge::tests
