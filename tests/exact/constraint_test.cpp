// A constraint under speculation: every token is allowed, forbidden drafts never reach the model,
// and the text may end exactly where the rules say.
#include <gtest/gtest.h>

#include "exact/errors.hpp"
#include "exact/sampled.hpp"

namespace kedge::tests {
namespace {

TEST(JsonShape, TakesWhatIsJsonAndNothingElse) {
  const JsonShape rules = json_of(140);
  const auto takes = [&](std::string_view text) {
    ConstraintState state = rules.start();
    for (const char c : text) {
      if (!rules.allows(state, c)) return -1;
      state = rules.advance(state, c);
    }
    return rules.accepts_end(state) ? 1 : 0;
  };
  for (const char* text : {"{}", "[]", "0", "-1.5e+3", "\"a\\n\\u00Ef\"", "true",
                           "[1,[],{\"a\":2}]", "{\"a\":[null,false],\"b\":{}}", "1\n[]\ntrue"})
    EXPECT_EQ(takes(text), 1) << text;
  for (const char* text : {"", "{", "[1", "\"a", "-", "1.", "tru", "{\"a\"", "{\"a\":", "1\n"})
    EXPECT_EQ(takes(text), 0) << text;
  for (const char* text : {"}", "[}", "01", "1.e", "{a", "{\"a\",", "[,", "[1,]", "\"\\x", "{}{",
                           "truf", "[1 ", "[1\n", "\n"})
    EXPECT_EQ(takes(text), -1) << text;
  EXPECT_EQ(takes(std::string(64, '[')), 0);
  EXPECT_EQ(takes(std::string(65, '[')), -1);
}

class ConstraintTest : public ::testing::Test {
 protected:
  void SetUp() override {
    model_ = load_tiny(spec_);
    ASSERT_NE(model_, nullptr);
    prompt_ = random_tokens(3, 20, spec_.vocabulary);
  }
  const TinySpec spec_ = tiny_spec(Element::f32, 6);
  std::shared_ptr<const Model> model_;
  std::vector<std::int32_t> prompt_;
};

TEST_F(ConstraintTest, TextsHaveTheShapeAndForbiddenDraftsAreCut) {
  const JsonShape rules = json_of(spec_.vocabulary);
  for (const double temperature : {0.0, 1.0})
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      Style style{"json", {.temperature = temperature, .seed = seed}, true};
      Session plain = make_session(model_, style), session = make_session(model_, style);
      const Decoded expected = must_decode(plain, prompt_, 120);
      // The wrong token behind each true one is the next byte, which is often not allowed.
      session.set_drafter(script(expected.tokens, {{4, 2}, {8, 7}, {3, 0}}, spec_.vocabulary));
      const Decoded found = must_decode(session, prompt_, 120);
      EXPECT_EQ(found.tokens, expected.tokens);
      EXPECT_TRUE(same_bytes(expected.logits, found.logits));
      EXPECT_GT(found.stats.cut, 0) << "seed " << seed;
      EXPECT_EQ(found.stats.proposed + found.stats.rounds,
                found.stats.rejected_rows + found.stats.tokens - 1);
      ConstraintState state = rules.start();
      for (const std::int32_t token : found.tokens) {
        ASSERT_TRUE(rules.allows(state, token));
        state = rules.advance(state, token);
      }
    }
}

// Rules that allow two tokens, and the end after exactly three.
struct Three {
  ConstraintState start() const noexcept { return {}; }
  void mask(const ConstraintState& s, std::span<std::uint32_t> words) const noexcept {
    if (s.word[0] < 3) words[0] = 3u << 10;
  }
  bool allows(const ConstraintState& s, std::int32_t t) const noexcept {
    return s.word[0] < 3 && (t == 10 || t == 11);
  }
  ConstraintState advance(const ConstraintState& s, std::int32_t) const noexcept {
    return {{s.word[0] + 1, 0}};
  }
  bool accepts_end(const ConstraintState& s) const noexcept { return s.word[0] == 3; }
};

TEST_F(ConstraintTest, TheTextEndsWhereTheRulesSay) {
  for (const bool speculative : {false, true}) {
    Session session = make_session(model_, {"", {.temperature = 1, .seed = 1}});
    session.set_constraint(*Constraint::make(Three{}));
    if (speculative) session.set_drafter(script({10, 10, 10, 7, 7}, {{4, 4}}, spec_.vocabulary));
    const std::int32_t ends[] = {7, 8};
    GenerateOptions generate;
    generate.end_tokens = ends;
    auto stop = session.generate(prompt_, generate);
    ASSERT_TRUE(stop) << show(stop.error());
    EXPECT_EQ(*stop, StopReason::end_token);
    ASSERT_EQ(session.text().size(), prompt_.size() + 4);
    EXPECT_TRUE(session.text().back() == 7 || session.text().back() == 8);
    // The next answer is under the same rules.
    ASSERT_TRUE(session.resume(prompt_, generate));
    EXPECT_EQ(session.text().size(), 2 * prompt_.size() + 8);
  }
}

TEST_F(ConstraintTest, NoAllowedTokenIsAnErrorAndTheTextStays) {
  for (const bool speculative : {false, true}) {
    Session session = make_session(model_, {"", {}});
    session.set_constraint(*Constraint::make(Three{}));
    if (speculative)
      session.set_drafter(script({10, 10, 10, 10, 10, 10}, {{4, 4}}, spec_.vocabulary));
    auto stop = session.generate(prompt_, {});
    EXPECT_TRUE(fails_with(stop, Code::invalid_argument, {"no token is allowed", "position 23"}));
    EXPECT_EQ(session.text().size(), prompt_.size() + 3);
    EXPECT_TRUE(fails_with(session.round(1), Code::invalid_argument, {"position 23"}));
    session.set_constraint({});
    EXPECT_TRUE(session.round(1));
  }
}

TEST_F(ConstraintTest, RulesLiveAsLongAsTheirHandles) {
  static int alive = 0;
  struct Counted : Three {
    Counted() { ++alive; }
    Counted(const Counted&) { ++alive; }
    ~Counted() { --alive; }
  };
  {
    auto made = Constraint::make(Counted{});
    ASSERT_TRUE(made);
    EXPECT_EQ(alive, 1);
    Constraint copy = *made, moved = std::move(copy);
    *made = Constraint();
    EXPECT_FALSE(*made);
    EXPECT_EQ(alive, 1);
    EXPECT_TRUE(moved.allows(moved.start(), 10));
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace kedge::tests
