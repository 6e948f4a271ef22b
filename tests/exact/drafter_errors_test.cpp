// Drafters are the host's code too.
#include <gtest/gtest.h>

#include "exact/session_errors.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/scripted.hpp"

namespace kedge::tests {
namespace {

struct Odd {
  enum class Kind {
    too_many,
    outside,
    behind_itself,
    before_all,
    begin_fails,
    propose_fails,
    append_fails
  };
  Kind kind;
  int appended = 0;
  Status begin(std::span<const std::int32_t>) noexcept {
    if (kind == Kind::begin_fails) return fail(Code::device, "odd drafter", "begin fails");
    return {};
  }
  Status append(std::span<const std::int32_t>) noexcept {
    if (kind == Kind::append_fails && appended++ > 0)
      return fail(Code::device, "odd drafter", "append fails");
    return {};
  }
  Status propose(const draft::Ask& ask, draft::Draft& draft) noexcept {
    const std::int64_t count = kind == Kind::too_many ? draft.capacity() : ask.count;
    for (std::int32_t i = 0; i < count; ++i) {
      if (kind == Kind::behind_itself) draft.push_behind(i, 0);
      else if (kind == Kind::before_all) draft.push_behind(-2, 0);
      else draft.push(kind == Kind::outside ? 1 << 30 : 0);
    }
    if (kind == Kind::propose_fails) return fail(Code::device, "odd drafter", "propose fails");
    return {};
  }
  void feedback(const draft::Outcome&) noexcept {}
  const char* name() const noexcept { return "odd"; }
};

TEST_F(SessionErrors, DraftersThatMisbehave) {
  const auto make = [&](Odd::Kind kind) {
    auto drafter = draft::AnyDrafter::make(Odd{kind});
    EXPECT_TRUE(drafter);
    auto session = session_with(model_, *std::move(drafter));
    EXPECT_TRUE(session);
    return session;
  };
  {
    auto session = make(Odd::Kind::begin_fails);
    EXPECT_TRUE(fails_with(session->begin(prompt_), Code::device, {"odd drafter", "begin"}));
    EXPECT_EQ(session->length(), 0);
    session->set_drafter({});
    still_works(*session, "a drafter that does not begin");
  }
  const std::pair<Odd::Kind, Code> cases[] = {{Odd::Kind::too_many, Code::invalid_argument},
                                              {Odd::Kind::outside, Code::invalid_argument},
                                              {Odd::Kind::behind_itself, Code::invalid_argument},
                                              {Odd::Kind::before_all, Code::invalid_argument},
                                              {Odd::Kind::propose_fails, Code::device}};
  for (const auto& [kind, code] : cases) {
    auto session = make(kind);
    auto first = session->begin(prompt_);
    ASSERT_TRUE(first) << show(first.error());
    EXPECT_TRUE(fails_with(session->round(10), code, {})) << static_cast<int>(kind);
    EXPECT_EQ(session->length(), 20);
    EXPECT_EQ(session->stats().rounds, 0);
    // Without the drafter the same text goes on: nothing of the failed round has happened.
    session->set_drafter({});
    for (std::size_t i = 1; i < 12; ++i) {
      auto round = session->round(1);
      ASSERT_TRUE(round) << show(round.error());
      EXPECT_EQ(round->tokens[0], expected_.tokens[i]);
    }
  }
}

// What a round verified is certain whatever the drafter says to it: it is told the whole text at
// the next round, which fails when the drafter fails again.
TEST_F(SessionErrors, ADrafterThatCannotTakeTheTokens) {
  auto session = session_with(model_, *draft::AnyDrafter::make(Odd{Odd::Kind::append_fails}));
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->begin(prompt_));
  auto round = session->round(1);
  ASSERT_TRUE(round) << show(round.error());
  EXPECT_EQ(round->tokens[0], expected_.tokens[1]);
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(fails_with(session->round(20), Code::device, {"odd drafter", "append"}));
  EXPECT_EQ(session->length(), 21);
  EXPECT_EQ(session->stats().rounds, 1);
  session->set_drafter({});
  for (std::size_t i = 2; i < 12; ++i) EXPECT_EQ(session->round(1)->tokens[0], expected_.tokens[i]);
}

// A drafter may come in the middle of a text: it is told what was before.
TEST_F(SessionErrors, ADrafterMayComeLater) {
  auto session = Session::create(model_, {});
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->begin(prompt_));
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(session->round(1)->tokens[0], expected_.tokens[i]);
  auto drafter = draft::AnyDrafter::make(
      draft::Scripted(expected_.tokens, {{4, 4}}, static_cast<std::int32_t>(spec_.vocabulary)));
  session->set_drafter(*std::move(drafter));
  auto round = session->round(5);
  ASSERT_TRUE(round);
  EXPECT_EQ(round->accepted, 4);
  EXPECT_TRUE(std::equal(round->tokens.begin(), round->tokens.end(), expected_.tokens.begin() + 5));
}

// A lookup whose history is as long as the longest default context serves the session to its end.
TEST_F(SessionErrors, TheDefaultLookupLastsForTheDefaultContext) {
  TinySpec spec = spec_;
  spec.layers = 1;
  spec.context = 8192;
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  auto lookup = draft::Lookup::create({});
  ASSERT_TRUE(lookup);
  auto drafter = draft::AnyDrafter::make(*std::move(lookup));
  auto session = session_with(model, *std::move(drafter));
  ASSERT_TRUE(session);
  ASSERT_EQ(session->context(), 8192);
  GenerateOptions options;
  options.max_tokens = 100;
  auto stop = session->generate(random_tokens(4, 8185, spec.vocabulary), options);
  ASSERT_TRUE(stop) << show(stop.error());
  EXPECT_EQ(*stop, StopReason::context_full);
  EXPECT_EQ(session->stats().tokens, 8);
}

}  // namespace
}  // namespace kedge::tests
