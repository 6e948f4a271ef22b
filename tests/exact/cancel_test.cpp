// Stopping: what is committed stays, and the text goes on as if nothing had been.
#include <gtest/gtest.h>

#include <atomic>

#include "exact/session_errors.hpp"
#include "kedge/draft/scripted.hpp"

namespace kedge::tests {
namespace {

TEST_F(SessionErrors, Cancellation) {
  auto session = Session::create(model_, {});
  ASSERT_TRUE(session);
  std::atomic<bool> cancel{true};
  GenerateOptions options;
  options.cancel = &cancel;
  EXPECT_TRUE(fails_with(session->generate(prompt_, options), Code::cancelled, {"0 of 20"}));
  still_works(*session, "cancellation in the prompt");

  struct Told {
    std::atomic<bool>* cancel;
    int tokens = 0;
  } told{&cancel};
  cancel = false;
  options.context = &told;
  options.on_token = [](void* context, const TokenEvent&) noexcept {
    auto& t = *static_cast<Told*>(context);
    if (++t.tokens == 5) *t.cancel = true;
    return true;
  };
  auto stop = session->generate(prompt_, options);
  ASSERT_TRUE(stop) << show(stop.error());
  EXPECT_EQ(*stop, StopReason::cancelled);
  EXPECT_EQ(told.tokens, 5);
  // What is committed stays: the text goes on.
  auto round = session->round(1);
  ASSERT_TRUE(round);
  EXPECT_EQ(round->tokens[0], expected_.tokens[5]);
  still_works(*session, "cancellation in the text");
}

TEST_F(SessionErrors, ACallbackThatSaysStop) {
  for (const bool speculative : {false, true})
    for (int most = 1; most <= 6; ++most) {
      auto session = Session::create(model_, {});
      ASSERT_TRUE(session);
      if (speculative) {
        auto drafter = draft::AnyDrafter::make(draft::Scripted(
            expected_.tokens, {{4, 4}}, static_cast<std::int32_t>(spec_.vocabulary)));
        session->set_drafter(*std::move(drafter));
      }
      struct Told {
        int most;
        std::vector<std::int32_t> tokens;
      } told{most, {}};
      GenerateOptions options;
      options.context = &told;
      options.on_token = [](void* context, const TokenEvent& event) noexcept {
        auto& t = *static_cast<Told*>(context);
        t.tokens.push_back(event.id);
        return static_cast<int>(t.tokens.size()) < t.most;
      };
      auto stop = session->generate(prompt_, options);
      ASSERT_TRUE(stop);
      EXPECT_EQ(*stop, StopReason::cancelled);
      ASSERT_EQ(static_cast<int>(told.tokens.size()), most);
      EXPECT_TRUE(std::equal(told.tokens.begin(), told.tokens.end(), expected_.tokens.begin()));
      session->set_drafter({});
      still_works(*session, "a callback that said stop");
    }
}

// Runs everything on the calling thread and raises a flag before the n-th phase.
class Raising final : public Executor {
 public:
  unsigned workers() const noexcept override { return 1; }
  bool co_scheduled() const noexcept override { return false; }
  Status gang(GangBody, void*) noexcept override { return {}; }
  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    if (left-- == 0) flag = true;
    for (std::size_t t = 0; t < count; ++t) body(context, t);
    return {};
  }
  std::atomic<bool> flag{false};
  std::int64_t left = -1;
};

TEST_F(SessionErrors, APassThatIsStoppedNeverWas) {
  const auto prompt = random_tokens(8, 150, spec_.vocabulary);
  auto plain = Session::create(model_, {});
  ASSERT_TRUE(plain);
  const Decoded expected = must_decode(*plain, prompt, 12);
  Raising executor;
  Session::Options options;
  options.executor = &executor;
  options.prefill_rows = 64;
  GenerateOptions generate;
  generate.cancel = &executor.flag;
  std::int64_t most = 0, stopped = 0;
  for (std::int64_t phase = 0;; phase += 7) {
    auto session = Session::create(model_, options);
    ASSERT_TRUE(session);
    session->set_least_need(Need::logits);
    executor.flag = false;
    executor.left = phase;
    auto first = session->begin(prompt, generate);
    executor.left = -1;
    executor.flag = false;
    const bool was_whole = first.has_value();
    if (!was_whole) {
      ++stopped;
      EXPECT_TRUE(fails_with(first, Code::cancelled, {"of 150 prompt tokens"}));
      const std::int64_t kept = session->length();
      EXPECT_EQ(kept % 64, 0);
      EXPECT_EQ(static_cast<std::int64_t>(session->text().size()), kept);
      most = std::max(most, kept);
      EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"}));
      // It goes on where it stopped.
      first = session->extend(std::span(prompt).subspan(static_cast<std::size_t>(kept)), generate);
    }
    ASSERT_TRUE(first) << show(first.error());
    EXPECT_EQ(*first, expected.tokens[0]);
    EXPECT_TRUE(
        report(first_difference(149, expected.logits.row(149), session->forward().logits(0))));
    // The same in a round, at an early phase and a late one.
    for (const std::int64_t at : {phase % 20, 20 + phase % 11}) {
      executor.left = at;
      EXPECT_TRUE(fails_with(session->round({.cancel = &executor.flag}), Code::cancelled, {"pass"}))
          << at;
      executor.left = -1;
      executor.flag = false;
      EXPECT_EQ(session->length(), 150);
    }
    for (std::size_t i = 1; i < 12; ++i) {
      auto round = session->round(1);
      ASSERT_TRUE(round);
      EXPECT_EQ(round->tokens[0], expected.tokens[i]);
    }
    if (was_whole) break;  // this phase comes after the last one of the prompt
  }
  EXPECT_GT(stopped, 5);
  EXPECT_EQ(most, 128);
}

TEST_F(SessionErrors, ThePromptReportsItsProgressAndMayBeStoppedByIt) {
  Session::Options options;
  options.prefill_rows = 6;
  auto session = Session::create(model_, options);
  ASSERT_TRUE(session);
  struct Told {
    std::vector<double> done;
    std::size_t most = 100;
  } told;
  GenerateOptions generate;
  generate.progress.context = &told;
  generate.progress.report = [](void* context, const char*, double done) noexcept {
    auto& t = *static_cast<Told*>(context);
    t.done.push_back(done);
    return t.done.size() < t.most;
  };
  ASSERT_TRUE(session->begin(prompt_, generate));
  EXPECT_EQ(told.done, (std::vector<double>{0.3, 0.6, 0.9, 1.0}));
  told = {{}, 2};
  EXPECT_TRUE(fails_with(session->begin(prompt_, generate), Code::cancelled, {"12 of 20"}));
  EXPECT_EQ(session->length(), 12);
  still_works(*session, "a prompt stopped by its progress");
}

}  // namespace
}  // namespace kedge::tests
