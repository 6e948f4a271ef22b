// Chains and extensions of drafters: who is asked, who is told, and who gets which hidden states.
#include "kedge/draft/chain.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kedge/draft/extended.hpp"
#include "kedge/draft/lookup.hpp"

namespace kedge::tests {
namespace {

using draft::AnyDrafter;
using draft::Ask;
using draft::Draft;
using Tokens = std::vector<std::int32_t>;

// What a drafter heard.
struct Heard {
  Tokens text, made;  // made: in the last proposal
  std::vector<draft::Outcome> outcomes;
  std::vector<std::pair<std::int64_t, std::vector<float>>> features;
  std::int64_t asked = 0;
};

// Proposes `guesses`, and reads taps.
struct Talker {
  std::shared_ptr<Heard> heard;
  Tokens guesses, reads;
  const char* called = "talker";

  Status begin(std::span<const std::int32_t> tokens) {
    heard->text.assign(tokens.begin(), tokens.end());
    return {};
  }
  Status append(std::span<const std::int32_t> tokens) {
    heard->text.insert(heard->text.end(), tokens.begin(), tokens.end());
    return {};
  }
  Status propose(const Ask& ask, Draft& draft) {
    ++heard->asked;
    heard->made.clear();
    for (const std::int32_t guess : guesses)
      if (std::ssize(heard->made) < ask.count) {
        draft.push(guess, 0.5f);
        heard->made.push_back(guess);
      }
    return {};
  }
  void feedback(const draft::Outcome& outcome) { heard->outcomes.push_back(outcome); }
  const char* name() const { return called; }
  std::span<const std::int32_t> taps() const { return reads; }
  Status evaluated(std::int64_t position, const Tensor& f) {
    heard->features.push_back({position, {f.as<float>(), f.as<float>() + f.rows() * f.width()}});
    return {};
  }
};

// The same, and it truncates.
struct Shortener : Talker {
  Status truncate(std::int64_t count) {
    heard->text.resize(static_cast<std::size_t>(count));
    return {};
  }
};

template <class T>
AnyDrafter any(T drafter) {
  auto made = AnyDrafter::make(std::move(drafter));
  EXPECT_TRUE(made);
  return *std::move(made);
}

Tokens tokens(const Draft& draft) { return {draft.tokens().begin(), draft.tokens().end()}; }

class ChainTest : public ::testing::Test {
 protected:
  std::shared_ptr<Heard> a_ = std::make_shared<Heard>(), b_ = std::make_shared<Heard>();
  Draft draft_ = *Draft::create({.capacity = 8});
  Ask ask_{.count = 4, .position = 3};
};

TEST_F(ChainTest, TheFirstThatProposesWinsAndIsTold) {
  for (const bool first : {true, false}) {
    *a_ = *b_ = {};
    AnyDrafter members[] = {any(Talker{a_, first ? Tokens{1, 2} : Tokens{}, {}, "one"}),
                            any(Talker{b_, {7, 8, 9}, {}, "two"})};
    auto chain = draft::Chain::create(members);
    ASSERT_TRUE(chain);
    EXPECT_STREQ(chain->name(), "one+two");
    EXPECT_FALSE(chain->truncates());
    ASSERT_TRUE(chain->begin(Tokens{5, 6}));
    ASSERT_TRUE(chain->append(Tokens{7}));
    EXPECT_EQ(a_->text, (Tokens{5, 6, 7}));
    EXPECT_EQ(b_->text, (Tokens{5, 6, 7}));
    draft_.clear();
    ASSERT_TRUE(chain->propose(ask_, draft_));
    EXPECT_EQ(tokens(draft_), first ? (Tokens{1, 2}) : (Tokens{7, 8, 9}));
    EXPECT_EQ(draft_.source, first ? 0 : 1);
    EXPECT_EQ(b_->asked, 1) << "for nothing where the first has proposed";
    draft_.clear();
    ASSERT_TRUE(chain->propose(ask_, draft_));
    EXPECT_EQ(b_->asked, first ? 1 : 2) << "but only in the first round";
    chain->feedback({4, 2, 1});
    EXPECT_EQ(a_->outcomes.size(), first ? 1u : 0u);
    EXPECT_EQ(b_->outcomes.size(), first ? 0u : 1u);
    EXPECT_EQ((first ? a_ : b_)->outcomes[0].evaluated, 2);
  }
}

TEST_F(ChainTest, NobodyProposesAndNobodyIsTold) {
  AnyDrafter members[] = {any(Shortener{{a_, {}, {}}}), any(Shortener{{b_, {}, {}}})};
  auto chain = draft::Chain::create(members);
  ASSERT_TRUE(chain);
  EXPECT_TRUE(chain->truncates());
  ASSERT_TRUE(chain->begin(Tokens{5, 6}));
  ASSERT_TRUE(chain->propose(ask_, draft_));
  EXPECT_EQ(draft_.size(), 0);
  chain->feedback({4, 0, 0});
  EXPECT_TRUE(a_->outcomes.empty() && b_->outcomes.empty());
  ASSERT_TRUE(chain->truncate(1));
  EXPECT_EQ(a_->text, Tokens{5});
  EXPECT_EQ(b_->text, Tokens{5});
  EXPECT_FALSE(draft::Chain::create({}));
  AnyDrafter none[1];
  EXPECT_FALSE(draft::Chain::create(none));
}

// The target is asked for every tap once, and each member sees its own in its own order.
TEST_F(ChainTest, EveryMemberSeesTheColumnsOfItsTaps) {
  AnyDrafter members[] = {any(Talker{a_, {1}, {2, 0}}), any(Talker{b_, {1}, {-1, 2}}),
                          any(draft::Lookup(*draft::Lookup::create({})))};
  auto chain = draft::Chain::create(members);
  ASSERT_TRUE(chain);
  const Tokens taps(chain->taps().begin(), chain->taps().end());
  ASSERT_EQ(taps, (Tokens{2, 0, -1}));
  // 20 rows, width 2: row r, tap t, column c is 100 r + 10 t + c.
  std::vector<float> rows;
  for (int r = 0; r < 20; ++r)
    for (const std::int32_t tap : taps)
      for (int c = 0; c < 2; ++c) rows.push_back(static_cast<float>(100 * r + 10 * tap + c));
  ASSERT_TRUE(chain->evaluated(30, tensor(rows.data(), Element::f32, 20, 6)));
  const auto expect = [&](const Heard& heard, const Tokens& own) {
    std::vector<float> expected, found;
    for (int r = 0; r < 20; ++r)
      for (const std::int32_t tap : own)
        for (int c = 0; c < 2; ++c) expected.push_back(static_cast<float>(100 * r + 10 * tap + c));
    std::int64_t next = 30;
    for (const auto& [position, values] : heard.features) {
      EXPECT_EQ(position, next);
      next += static_cast<std::int64_t>(values.size() / (2 * own.size()));
      found.insert(found.end(), values.begin(), values.end());
    }
    EXPECT_EQ(next, 50);
    EXPECT_EQ(found, expected);
  };
  expect(*a_, {2, 0});
  expect(*b_, {-1, 2});
}

TEST_F(ChainTest, AnExtenderContinuesAsIfTheGuessesWereText) {
  // Text 1 2 3 4 5 1 2; the first guesses 3; lookup goes on with what follows 1 2 3.
  auto extended = draft::Extended::create(
      any(Talker{a_, {3}, {}, "first"}),
      any(draft::Lookup(*draft::Lookup::create({.length = 2, .min_match = 3}))));
  ASSERT_TRUE(extended);
  EXPECT_STREQ(extended->name(), "first>lookup");
  ASSERT_TRUE(extended->begin(Tokens{1, 2, 3, 4, 5, 1}));
  ASSERT_TRUE(extended->append(Tokens{2}));
  for (int i = 0; i < 3; ++i) {  // asking changes nothing
    draft_.clear();
    ASSERT_TRUE(extended->propose(ask_, draft_));
    EXPECT_EQ(tokens(draft_), (Tokens{3, 4, 5}));
    EXPECT_EQ(draft_.confidences()[0], 0.5f);
  }
  draft_.clear();
  ASSERT_TRUE(extended->propose({.count = 2}, draft_));
  EXPECT_EQ(tokens(draft_), (Tokens{3, 4})) << "no more than is asked";
  draft_.clear();
  ASSERT_TRUE(extended->propose({.count = 1}, draft_));
  EXPECT_EQ(tokens(draft_), (Tokens{3}));
}

TEST_F(ChainTest, EachHearsOfItsOwnGuesses) {
  auto extended =
      draft::Extended::create(any(Talker{a_, {3, 4}, {}}), any(Shortener{{b_, {5, 6}, {}}}));
  ASSERT_TRUE(extended);
  ASSERT_TRUE(extended->begin(Tokens{1}));
  ASSERT_TRUE(extended->propose(ask_, draft_));
  EXPECT_EQ(tokens(draft_), (Tokens{3, 4, 5, 6}));
  EXPECT_EQ(b_->text, Tokens{1}) << "the guesses were taken back";
  ASSERT_TRUE(extended->append(Tokens{3, 4, 5, 9}));
  extended->feedback({4, 4, 3});
  EXPECT_EQ(a_->outcomes[0].evaluated, 2);
  EXPECT_EQ(a_->outcomes[0].accepted, 2);
  EXPECT_EQ(b_->outcomes[0].evaluated, 2);
  EXPECT_EQ(b_->outcomes[0].accepted, 1);
  EXPECT_FALSE(extended->truncates()) << "the first cannot";
  EXPECT_FALSE(draft::Extended::create(any(Shortener{{a_, {}, {}}}), any(Talker{b_, {}, {}})))
      << "one that cannot truncate cannot extend";
}

}  // namespace
}  // namespace kedge::tests
