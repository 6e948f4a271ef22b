// Sessions that share passes: each has the text that it has alone, with drafters and draft lengths
// of its own, and fails alone.
#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "exact/errors.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/scripted.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {
namespace {

using Tokens = std::vector<std::int32_t>;
constexpr int sessions = 8;
constexpr std::int64_t new_tokens = 60;

Tokens prompt_of(int i, const Model& model) {
  return random_tokens(static_cast<std::uint64_t>(100 + i), 9 + 7 * i, model.config().vocabulary);
}
SamplingOptions sampling_of(int i) {
  SamplingOptions o;
  o.temperature = i % 3 == 0 ? 0 : 0.5 + 0.25 * i;
  o.seed = static_cast<std::uint64_t>(i);
  if (i == 4) o.top_k = 5;
  if (i == 5) o.repetition_penalty = 1.2;
  return o;
}
Tokens alone(const std::shared_ptr<const Model>& model, int i, Element cache = Element::f16) {
  auto session = Session::create(model, {.cache = cache, .max_draft = 0});
  EXPECT_TRUE(session);
  EXPECT_TRUE(session->set_sampling(sampling_of(i)));
  EXPECT_TRUE(session->begin(prompt_of(i, *model)));
  for (std::int64_t t = 1; t < new_tokens; ++t) EXPECT_TRUE(session->round(1));
  return {session->text().begin(), session->text().end()};
}

draft::AnyDrafter drafter_of(int i, const Tokens& text, const Model& model) {
  const auto size = prompt_of(i, model).size();
  const Tokens truth(text.begin() + static_cast<std::ptrdiff_t>(size), text.end());
  std::mt19937_64 rng(static_cast<std::uint64_t>(i));
  std::vector<draft::Scripted::Step> steps;
  for (int n = 0; n < 30; ++n) {
    const auto proposed = static_cast<std::int64_t>(rng() % static_cast<unsigned>(i + 1));
    steps.push_back(
        {proposed, static_cast<std::int64_t>(rng() % static_cast<unsigned>(proposed + 1))});
  }
  if (i == 0) return {};
  if (i == 1) return *draft::AnyDrafter::make(*draft::Lookup::create({.min_match = 1}));
  return *draft::AnyDrafter::make(
      draft::Scripted(truth, steps, static_cast<std::int32_t>(model.config().vocabulary)));
}

void expect_together(const std::shared_ptr<const Model>& model, Session::Options options) {
  options.max_draft = 8;
  options.sequences = options.together = sessions;
  auto first = Session::create(model, options);
  ASSERT_TRUE(first) << show(first.error());
  std::vector<Session> all;
  all.push_back(*std::move(first));
  for (int i = 1; i < sessions; ++i) all.push_back(*all[0].fork());
  std::vector<Tokens> expected;
  for (int i = 0; i < sessions; ++i) {
    Session& session = all[static_cast<std::size_t>(i)];
    expected.push_back(alone(model, i, options.cache));
    ASSERT_TRUE(session.set_sampling(sampling_of(i)));
    session.set_drafter(drafter_of(i, expected.back(), *model));
    ASSERT_TRUE(session.begin(prompt_of(i, *model)));
  }
  std::int64_t passes = 0, rounds = 0;
  for (;; ++passes) {
    std::vector<Session::Turn> turns;
    for (int i = 0; i < sessions; ++i) {
      Session& session = all[static_cast<std::size_t>(i)];
      const auto left = static_cast<std::int64_t>(expected[static_cast<std::size_t>(i)].size() -
                                                  session.text().size());
      if (left > 0) turns.push_back({&session, {.limit = left}});
    }
    if (turns.empty()) break;
    ASSERT_TRUE(Session::round_together(turns));
    for (const Session::Turn& turn : turns) ASSERT_TRUE(turn.status) << show(turn.status.error());
    rounds += static_cast<std::int64_t>(turns.size());
  }
  EXPECT_GT(rounds, 4 * passes);
  std::int64_t accepted = 0, rejected = 0;
  for (int i = 0; i < sessions; ++i) {
    const Session& session = all[static_cast<std::size_t>(i)];
    EXPECT_EQ(Tokens(session.text().begin(), session.text().end()),
              expected[static_cast<std::size_t>(i)])
        << "session " << i;
    accepted += session.stats().accepted;
    rejected += session.stats().rejected_rows;
  }
  EXPECT_GT(accepted, 50);
  EXPECT_GT(rejected, 50);
}

TEST(Together, EachHasTheTextThatItHasAlone) {
  for (const Element cache : {Element::f16, Element::q8_0}) {
    TinySpec spec = tiny_spec({Element::q4_0, "qwen3"}, 4);
    if (!op::expect_cache_element("test", cache, spec.head_dim)) continue;
    const auto model = load_tiny(spec);
    ASSERT_NE(model, nullptr);
    Session::Options options;
    options.cache = cache;
    expect_together(model, options);
  }
}

TEST(Together, HybridsToo) {
  for (const char* name : {"two", "unequal"})
    for (const RecurrentOptions::Choice choice :
         {RecurrentOptions::Choice::replay, RecurrentOptions::Choice::snapshots,
          RecurrentOptions::Choice::checkpoint}) {
      auto model =
          Model::load((KEDGE_GOLDEN_DIR "/hybrid/" + std::string(name) + ".gguf").c_str(), {});
      ASSERT_TRUE(model) << show(model.error());
      Session::Options options;
      options.recurrent.choice = choice;
      expect_together(*model, options);
    }
}

struct Failing {
  Status begin(std::span<const std::int32_t>) { return {}; }
  Status append(std::span<const std::int32_t>) { return {}; }
  Status propose(const draft::Ask&, draft::Draft& draft) {
    draft.push(1 << 30);
    return {};
  }
  void feedback(const draft::Outcome&) {}
  const char* name() const { return "failing"; }
};

TEST(Together, OneThatFailsFailsAlone) {
  const auto model = load_tiny(tiny_spec({Element::f32}, 4));
  ASSERT_NE(model, nullptr);
  Session::Options options;
  options.sequences = options.together = 3;
  auto a = Session::create(model, options);
  ASSERT_TRUE(a);
  auto b = a->fork(), c = a->fork();
  ASSERT_TRUE(b);
  ASSERT_TRUE(c);
  const Tokens expected_a = alone(model, 0), expected_c = alone(model, 3);
  b->set_drafter(*draft::AnyDrafter::make(Failing{}));
  ASSERT_TRUE(a->begin(prompt_of(0, *model)));
  ASSERT_TRUE(b->begin(prompt_of(6, *model)));
  ASSERT_TRUE(c->begin(prompt_of(3, *model)));
  const auto length = b->length();
  for (int n = 0; n < 10; ++n) {
    Session::Turn turns[] = {{&*a}, {&*b}, {&*c}};
    ASSERT_TRUE(Session::round_together(turns));
    EXPECT_TRUE(turns[0].status && turns[2].status);
    EXPECT_TRUE(fails_with(turns[1].status, Code::invalid_argument, {"failing", "token"}));
  }
  EXPECT_EQ(b->length(), length);
  EXPECT_EQ(b->stats().rounds, 0);
  EXPECT_TRUE(std::equal(a->text().begin(), a->text().end(), expected_a.begin()));
  EXPECT_TRUE(std::equal(c->text().begin(), c->text().end(), expected_c.begin()));
  b->set_drafter({});
  ASSERT_TRUE(b->round(1));
}

TEST(Together, WrongTurnsAreErrors) {
  const auto model = load_tiny(tiny_spec({Element::f32}, 4));
  Session::Options options;
  options.sequences = 3;
  options.together = 2;
  auto a = Session::create(model, options);
  ASSERT_TRUE(a);
  auto b = a->fork(), c = a->fork();
  auto stranger = Session::create(model, options);
  for (Session* s : {&*a, &*b, &*c, &*stranger}) ASSERT_TRUE(s->begin(prompt_of(1, *model)));
  const auto error = [](std::vector<Session*> list, const char* what) {
    std::vector<Session::Turn> turns;
    for (Session* s : list) turns.push_back({s});
    EXPECT_TRUE(fails_with(Session::round_together(turns), Code::invalid_argument, {what}));
  };
  error({&*a, &*a}, "one session");
  error({&*a, nullptr}, "no session");
  error({&*a, &*stranger}, "forks");
  error({&*a, &*b, &*c}, "together");
  EXPECT_TRUE(Session::round_together({}));
  options.together = 4;
  EXPECT_TRUE(fails_with(Session::create(model, options), Code::invalid_argument, {"together"}));
}

}  // namespace
}  // namespace kedge::tests
