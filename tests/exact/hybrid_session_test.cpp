// Sessions of models with recurrent layers: whatever is drafted, undone, rewound, forked, saved or
// cancelled, under every policy for the state, the text and its logits are those of plain decoding.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <optional>
#include <random>

#include "exact/errors.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/scripted.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/spec/session.hpp"
#include "support/all_executors.hpp"
#include "unit/recurrent_toy.hpp"

namespace kedge::tests {
namespace {

using Choice = RecurrentOptions::Choice;

constexpr std::int64_t prompt_size = 45, text_size = 250;

// A model of tests/golden/hybrid and its plain text.
struct Plain {
  std::shared_ptr<const Model> model;
  std::vector<std::int32_t> text;  // the prompt too
  std::vector<float> logits;       // of every position behind the prompt's last token

  std::int64_t vocabulary() const { return model->config().vocabulary; }
  const float* row(std::int64_t position) const {
    return logits.data() + (position - prompt_size + 1) * vocabulary();
  }
  std::span<const std::int32_t> prompt() const { return std::span(text).first(prompt_size); }
};

Session make(const std::shared_ptr<const Model>& model, const Session::Options& options = {}) {
  auto session = Session::create(model, options);
  EXPECT_TRUE(session) << show(session.error());
  if (!session) return {};
  session->set_least_need(Need::logits);
  return *std::move(session);
}

const Plain& plain(const std::string& name) {
  static std::map<std::string, Plain> all;
  Plain& p = all[name];
  if (p.model != nullptr) return p;
  auto model = Model::load((KEDGE_GOLDEN_DIR "/hybrid/" + name + ".gguf").c_str(), {});
  EXPECT_TRUE(model) << show(model.error());
  p.model = *std::move(model);
  Session::Options options;
  options.max_draft = 0;
  Session session = make(p.model, options);
  const auto prompt = random_tokens(5, prompt_size, p.vocabulary());
  EXPECT_TRUE(session.begin(prompt));
  const auto keep = [&] {
    const auto row = session.forward().logits(0);
    p.logits.insert(p.logits.end(), row.begin(), row.end());
  };
  keep();
  while (static_cast<std::int64_t>(session.text().size()) < text_size) {
    EXPECT_TRUE(session.round(1));
    keep();
  }
  p.text.assign(session.text().begin(), session.text().end());
  EXPECT_EQ(session.stats().rerun_rows, 0);
  return p;
}

draft::AnyDrafter script(const Plain& p, std::vector<draft::Scripted::Step> steps) {
  auto drafter = draft::AnyDrafter::make(
      draft::Scripted({p.text.begin() + prompt_size, p.text.end()}, std::move(steps),
                      static_cast<std::int32_t>(p.vocabulary())));
  EXPECT_TRUE(drafter);
  return *std::move(drafter);
}

// One round, whose tokens and logits must be the plain text's.
void expect_round(Session& session, const Plain& p, std::int64_t limit = 1000) {
  const auto size = static_cast<std::int64_t>(session.text().size());
  const auto round = session.round(std::min(limit, text_size - size));
  ASSERT_TRUE(round) << show(round.error());
  for (std::size_t i = 0; i < round->tokens.size(); ++i) {
    const std::int64_t position = size + static_cast<std::int64_t>(i);
    ASSERT_EQ(round->tokens[i], p.text[static_cast<std::size_t>(position)]) << position;
    const auto row = session.forward().logits(static_cast<std::int64_t>(i));
    ASSERT_EQ(0, std::memcmp(row.data(), p.row(position - 1), row.size_bytes())) << position;
  }
}
void expect_rest(Session& session, const Plain& p, std::int64_t until = text_size) {
  while (static_cast<std::int64_t>(session.text().size()) < until)
    ASSERT_NO_FATAL_FAILURE(expect_round(session, p));
  ASSERT_TRUE(std::equal(session.text().begin(), session.text().end(), p.text.begin()));
}

Session::Options with(Choice choice, std::int64_t drafts = 8, std::int64_t depth = 0) {
  Session::Options options;
  options.max_draft = drafts;
  options.recurrent.choice = choice;
  options.recurrent.depth = depth;
  return options;
}

class Hybrid : public ::testing::TestWithParam<Choice> {};
constexpr const char* models[] = {"one", "two", "three", "unequal", "short"};

TEST_P(Hybrid, ThePlainTextWanders) {
  for (const char* name : models) {
    std::map<std::int32_t, int> seen;
    for (std::size_t i = prompt_size; i < text_size; ++i) ++seen[plain(name).text[i]];
    EXPECT_GT(seen.size(), 3u) << name;
  }
}

TEST_P(Hybrid, EveryProposedAndAcceptedPair) {
  std::vector<draft::Scripted::Step> steps;
  for (std::int64_t proposed = 0; proposed <= 8; ++proposed)
    for (std::int64_t accepted = 0; accepted <= proposed; ++accepted)
      steps.push_back({proposed, accepted});
  std::shuffle(steps.begin(), steps.end(), std::mt19937_64(3));
  for (const char* name : models) {
    const Plain& p = plain(name);
    Session session = make(p.model, with(GetParam()));
    session.set_drafter(script(p, steps));
    ASSERT_TRUE(session.begin(p.prompt()));
    while (static_cast<std::int64_t>(session.text().size()) < text_size) {
      ASSERT_NO_FATAL_FAILURE(expect_round(session, p)) << name;
      poison_unused(*session.recurrent());
    }
    EXPECT_GT(session.stats().accepted, 0);
    EXPECT_GT(session.stats().rejected_rows, 0);
    EXPECT_EQ(session.stats().rerun_rows > 0, GetParam() == Choice::checkpoint) << name;
    EXPECT_EQ(session.recurrent()->copied().forks, 0u);
  }
}

TEST_P(Hybrid, EveryExecutorAndIsa) {
  const Plain& p = plain("two");
  for (const auto& executor : all_executors())
    for (const cpu::Isa isa : {cpu::Isa::scalar, cpu::best_isa()}) {
      Session::Options options = with(GetParam());
      options.executor = executor.executor.get();
      options.isa = isa;
      options.prefill_rows = 7;
      Session session = make(p.model, options);
      session.set_drafter(script(p, {{8, 8}, {3, 1}, {8, 2}, {1, 0}}));
      ASSERT_TRUE(session.begin(p.prompt()));
      ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, 75)) << to_string(isa);
    }
}

// Too few states are kept: what was accepted runs again, and is counted.
TEST_P(Hybrid, TooSmallADepthIsCounted) {
  const Plain& p = plain("one");
  Session session = make(p.model, with(GetParam(), 8, 2));
  session.set_drafter(script(p, {{8, 8}, {8, 0}, {8, 3}, {1, 0}, {1, 1}}));
  ASSERT_TRUE(session.begin(p.prompt()));
  ASSERT_NO_FATAL_FAILURE(expect_rest(session, p));
  EXPECT_GT(session.stats().rerun_rows, 0);
}

TEST_P(Hybrid, GoesOnAfterRewinds) {
  for (const char* name : models) {
    const Plain& p = plain(name);
    Session::Options options = with(GetParam());
    options.prefill_rows = 16;
    options.recurrent.landmarks = 32;  // for all that are tried
    Session session = make(p.model, options);
    session.set_drafter(script(p, {{8, 5}, {4, 1}, {3, 0}}));
    ASSERT_TRUE(session.begin(p.prompt()));
    ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, 160));
    for (const std::int64_t size : {159, 158, 140, 60, 46}) {
      ASSERT_TRUE(session.rewind(size));
      ASSERT_LT(session.length(), size);
      poison_unused(*session.recurrent());
      ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, size + 30)) << name << ' ' << size;
    }
    // To the prompt's end and into the prompt, whose landmarks are there.
    ASSERT_TRUE(session.rewind(prompt_size));
    EXPECT_GE(session.length(), GetParam() == Choice::checkpoint ? 32 : prompt_size - 1) << name;
    ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, 100));
    ASSERT_TRUE(session.rewind(40));
    EXPECT_EQ(session.length(), 32) << name;
    const std::int64_t before = session.stats().rerun_rows;
    ASSERT_TRUE(session.extend(std::span(p.text).subspan(40, 5)));
    EXPECT_EQ(session.stats().rerun_rows - before, 39 - 32);
    ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, 120));
    // Another text meanwhile.
    ASSERT_TRUE(session.rewind(33));
    ASSERT_TRUE(session.extend(random_tokens(8, 30, p.vocabulary())));
    ASSERT_TRUE(session.rewind(33));
    ASSERT_TRUE(session.extend(std::span(p.text).subspan(33, 70)));
    ASSERT_NO_FATAL_FAILURE(expect_rest(session, p));
  }
}

TEST_P(Hybrid, ForksAndFilesGoOn) {
  for (const char* name : models) {
    const Plain& p = plain(name);
    Session::Options options = with(GetParam());
    options.sequences = 3;
    Session session = make(p.model, options);
    session.set_drafter(script(p, {{8, 5}, {4, 1}, {3, 0}}));
    ASSERT_TRUE(session.begin(p.prompt()));
    ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, 90));
    auto fork = session.fork(), other = session.fork();
    ASSERT_TRUE(fork && other);
    EXPECT_GT(session.recurrent()->copied().forks, 0u);
    ASSERT_TRUE(other->extend(random_tokens(77, 30, p.vocabulary())));
    for (std::int64_t size = 100; size <= 140; size += 10) {
      ASSERT_NO_FATAL_FAILURE(expect_rest(*fork, p, size)) << name;
      ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, size)) << name;
      ASSERT_TRUE(other->round(1));
    }
    *other = Session();
    std::vector<std::byte> bytes;
    auto sink = io::Sink::memory(bytes);
    ASSERT_TRUE(fork->save(sink));
    // Into a session that keeps its states in another way; and behind a rewind, not caught up.
    for (const Choice choice : {Choice::snapshots, Choice::replay, Choice::checkpoint}) {
      Session loaded = make(p.model, with(choice, 5));
      ASSERT_TRUE(loaded.load(io::Source::memory(bytes, "file")));
      loaded.set_drafter(script(p, {{5, 2}, {5, 5}}));
      ASSERT_NO_FATAL_FAILURE(expect_rest(loaded, p, 180)) << name;
      ASSERT_TRUE(loaded.rewind(100));
      std::vector<std::byte> behind;
      auto second = io::Sink::memory(behind);
      ASSERT_TRUE(loaded.save(second));
      Session again = make(p.model, with(GetParam(), 3));
      ASSERT_TRUE(again.load(io::Source::memory(behind, "file")));
      ASSERT_NO_FATAL_FAILURE(expect_rest(again, p, 130)) << name;
      for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 2)
        ASSERT_FALSE(loaded.load(io::Source::memory(std::span(bytes).first(size), "file")));
      ASSERT_NO_FATAL_FAILURE(expect_rest(loaded, p, 180)) << name;
    }
    session = Session();
    ASSERT_TRUE(fork->rewind(60));
    ASSERT_NO_FATAL_FAILURE(expect_rest(*fork, p));
  }
}

// Cancelled somewhere in a pass, a round or a prompt has never been.
TEST_P(Hybrid, CancelledRoundsHaveNeverHappened) {
  const Plain& p = plain("two");
  Session session = make(p.model, with(GetParam()));
  session.set_drafter(script(p, {{8, 5}, {4, 1}, {3, 0}}));
  std::atomic<bool> cancel{true};
  GenerateOptions stopped;
  stopped.cancel = &cancel;
  EXPECT_EQ(session.begin(p.prompt(), stopped).error().code, Code::cancelled);
  ASSERT_TRUE(session.begin(p.prompt()));
  while (static_cast<std::int64_t>(session.text().size()) < 200) {
    RoundOptions options;
    options.cancel = &cancel;
    const std::int64_t length = session.length();
    EXPECT_EQ(session.round(options).error().code, Code::cancelled);
    EXPECT_EQ(session.length(), length);
    poison_unused(*session.recurrent());
    ASSERT_NO_FATAL_FAILURE(expect_round(session, p));
  }
}

// Told tokens one by one, however often rows run.
TEST_P(Hybrid, StopsInsideAnAcceptedBlock) {
  struct Counter {
    std::int64_t pushed = 0, until = 0, marked = 0;
  } counter;
  StopMatcher stop;
  stop.context = &counter;
  stop.push = [](void* c, std::int32_t) noexcept {
    auto& k = *static_cast<Counter*>(c);
    return ++k.pushed == k.until;
  };
  stop.mark = [](void* c) noexcept { ++static_cast<Counter*>(c)->marked; };
  stop.undo = [](void*) noexcept {};
  const Plain& p = plain("one");
  for (std::int64_t until = 1; until < 20; ++until) {
    Session session = make(p.model, with(GetParam()));
    session.set_drafter(script(p, {{8, 8}, {8, 4}}));
    ASSERT_TRUE(session.begin(p.prompt()));
    counter = {0, until, 0};
    GenerateOptions options;
    options.stop = stop;
    const auto reason = session.resume({}, options);
    ASSERT_TRUE(reason);
    EXPECT_EQ(*reason, StopReason::stop_text);
    EXPECT_EQ(counter.pushed, until);
    EXPECT_EQ(static_cast<std::int64_t>(session.text().size()), prompt_size + 1 + until);
    counter.until = 0;
    ASSERT_NO_FATAL_FAILURE(expect_rest(session, p, 120));
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, Hybrid,
                         ::testing::Values(Choice::automatic, Choice::snapshots, Choice::replay,
                                           Choice::checkpoint),
                         [](const auto& instance) {
                           return std::string(to_string(instance.param));
                         });

// Random rounds, with everything else that may happen between them.
void any_rounds(Choice choice, std::int64_t total) {
  std::int64_t rounds = 0, accepted = 0, undone = 0, rerun = 0, rewinds = 0, forks = 0;
  for (std::uint64_t seed = 1; rounds < total; ++seed) {
    const Plain& p = plain(models[seed % std::size(models)]);
    std::mt19937_64 rng(seed);
    const auto below = [&](std::int64_t n) {
      return static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(n));
    };
    std::vector<draft::Scripted::Step> steps;
    for (int i = 0; i < 97; ++i) {
      const std::int64_t proposed = below(13);
      steps.push_back({proposed, below(proposed + 1)});
    }
    Session::Options options = with(choice, 1 + below(12), below(4) == 0 ? 1 + below(6) : 0);
    options.sequences = 2;
    options.prefill_rows = 1 + below(40);
    options.recurrent.landmarks = below(4);
    Session session = make(p.model, options);
    session.set_drafter(script(p, steps));
    ASSERT_TRUE(session.begin(p.prompt()));
    while (static_cast<std::int64_t>(session.text().size()) < text_size) {
      if (below(20) == 0) {
        const auto size = static_cast<std::int64_t>(session.text().size());
        const std::int64_t back = below(3) == 0 ? below(size - prompt_size) : below(6);
        ASSERT_TRUE(session.rewind(std::max(prompt_size + 1, size - back)));
        ++rewinds;
      }
      if (below(40) == 0) {
        auto fork = session.fork();
        ASSERT_TRUE(fork);
        fork->set_least_need(Need::logits);
        fork->set_drafter(script(p, steps));
        undone += session.stats().rejected_rows;
        accepted += session.stats().accepted;
        rerun += session.stats().rerun_rows;
        session = *std::move(fork);
        ++forks;
      }
      ASSERT_NO_FATAL_FAILURE(expect_round(session, p))
          << to_string(choice) << ", seed " << seed << ", " << session.model().config().name;
      poison_unused(*session.recurrent());
      ++rounds;
    }
    undone += session.stats().rejected_rows;
    accepted += session.stats().accepted;
    rerun += session.stats().rerun_rows;
  }
  EXPECT_GT(accepted, rounds / 2);
  EXPECT_GT(undone, rounds / 2);
  const auto n = [](std::int64_t x) { return static_cast<long long>(x); };
  std::printf(
      "             %s: %lld rounds, %lld drafts accepted, %lld undone, %lld rows run again, %lld "
      "rewinds, %lld forks\n",
      to_string(choice), n(rounds), n(accepted), n(undone), n(rerun), n(rewinds), n(forks));
}
TEST(HybridRounds, Snapshots) { any_rounds(Choice::snapshots, 3400); }
TEST(HybridRounds, Replay) { any_rounds(Choice::replay, 3400); }
TEST(HybridRounds, Checkpoint) { any_rounds(Choice::checkpoint, 3400); }
TEST(HybridRounds, SlowSnapshots) { any_rounds(Choice::snapshots, 10000); }
TEST(HybridRounds, SlowReplay) { any_rounds(Choice::replay, 10000); }
TEST(HybridRounds, SlowCheckpoint) { any_rounds(Choice::checkpoint, 10000); }

TEST(HybridSession, TakesTheMemoryThatIsEstimated) {
  const Plain& p = plain("two");
  for (const Choice choice :
       {Choice::automatic, Choice::snapshots, Choice::replay, Choice::checkpoint})
    for (const std::int64_t drafts : {0, 2, 8}) {
      SessionShape shape;
      shape.max_outputs = drafts + 1;
      shape.sequences = 2;
      shape.recurrent.choice = choice;
      const auto estimate = p.model->estimate(shape);
      ASSERT_TRUE(estimate) << show(estimate.error());
      Session::Options options = with(choice, drafts);
      options.sequences = 2;
      Session session = make(p.model, options);
      EXPECT_EQ(session.recurrent()->bytes(), estimate->recurrent);
      EXPECT_TRUE(session.recurrent()->policy() == estimate->policy);
      // The estimate has the nodes' arguments too.
      EXPECT_LE(session.forward().activation_bytes(), estimate->activations);
      EXPECT_GT(session.forward().activation_bytes() + 65536, estimate->activations);
      EXPECT_EQ(session.cache().bytes(), estimate->kv);
      options.memory_budget = estimate->session();
      EXPECT_TRUE(Session::create(p.model, options));
      --options.memory_budget;
      EXPECT_TRUE(fails_with(Session::create(p.model, options), Code::out_of_memory,
                             {"recurrent state", "budget"}));
    }
}

TEST(HybridSession, ABudgetForTheStateIsKept) {
  const Plain& p = plain("two");
  const RecurrentShape& shape = p.model->config().recurrent;
  Session::Options options = with(Choice::automatic, 2);
  options.recurrent.memory = RecurrentPolicy::replay(3).bytes(shape);
  Session session = make(p.model, options);
  EXPECT_TRUE(session.recurrent()->policy() == RecurrentPolicy::replay(3));
  options.recurrent.memory = 1000;
  EXPECT_TRUE(
      fails_with(Session::create(p.model, options), Code::out_of_memory, {"1000", "checkpoint"}));
  options.recurrent.choice = Choice::snapshots;
  EXPECT_TRUE(fails_with(Session::create(p.model, options), Code::out_of_memory, {"1000"}));
  options.recurrent.memory = 0;
  options.recurrent.depth = 1000;
  EXPECT_TRUE(fails_with(Session::create(p.model, options), Code::invalid_argument, {"1000"}));
}

}  // namespace
}  // namespace kedge::tests
