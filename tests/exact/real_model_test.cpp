// SmolLM2-135M-Instruct itself, when the file is there: speculative text equals plain text, and
// logits are equal at every width. Its path: $KEDGE_MODEL, else models/ in the source folder.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "exact/model_path.hpp"
#include "exact/sampled.hpp"
#include "kedge/draft/model.hpp"
#include "support/all_executors.hpp"

namespace kedge::tests {
namespace {

class RealModel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(real_model_path()))
      GTEST_SKIP() << "no model at " << real_model_path() << "; set KEDGE_MODEL to its path";
    static auto executor = make_default_executor(0);
    ASSERT_TRUE(executor);
    executor_ = executor->get();
    static auto model = [] {
      Model::Options options;
      options.executor = executor->get();
      return Model::load(real_model_path().c_str(), options);
    }();
    ASSERT_TRUE(model) << show(model.error());
    model_ = *model;
  }

  // Texts without a tokenizer: what the model itself says after a random beginning, then some of it
  // again, so that lookup has something to find. Random tokens keep it from one endless loop.
  std::vector<std::int32_t> prompt(std::uint64_t seed, std::int64_t length) {
    const std::int64_t fresh = std::max<std::int64_t>(8, length / 2);
    auto text = random_tokens(seed, fresh, model_->config().vocabulary);
    std::mt19937_64 rng(seed);
    while (static_cast<std::int64_t>(text.size()) < length) {
      const std::size_t from = rng() % text.size(), count = 5 + rng() % 40;
      for (std::size_t i = 0; i < count && static_cast<std::int64_t>(text.size()) < length; ++i)
        text.push_back(text[(from + i) % text.size()]);
    }
    return text;
  }

  // Plain against speculative over one prompt; returns the speculative session's statistics.
  Stats compare(std::uint64_t seed, std::int64_t length, std::int64_t tokens, bool scripted) {
    Session::Options options;
    options.executor = executor_;
    options.context = length + tokens + 1;
    auto plain = Session::create(model_, options), session = Session::create(model_, options);
    EXPECT_TRUE(plain && session);
    if (!plain || !session) return {};
    const auto text = prompt(seed, length);
    const Decoded expected = must_decode(*plain, text, tokens);
    auto lookup = draft::Lookup::create({.length = 8});
    EXPECT_TRUE(lookup);
    auto drafter = scripted ? draft::AnyDrafter::make(draft::Scripted(
                                  expected.tokens, {{16, 16}, {8, 0}, {12, 7}, {3, 2}, {15, 14}},
                                  static_cast<std::int32_t>(model_->config().vocabulary)))
                            : draft::AnyDrafter::make(*std::move(lookup));
    EXPECT_TRUE(drafter);
    session->set_drafter(*std::move(drafter));
    const Decoded found = must_decode(*session, text, tokens, {}, poison_uncommitted);
    EXPECT_EQ(found.tokens, expected.tokens) << "prompt seed " << seed;
    EXPECT_TRUE(same_bytes(expected.logits, found.logits)) << "prompt seed " << seed;
    EXPECT_EQ(found.logits.filled(), tokens) << "prompt seed " << seed;
    return found.stats;
  }
  void texts(int count, std::int64_t tokens, int long_ones) {
    Stats sum;
    for (int i = 0; i < count; ++i) {
      // The long ones span more than three splits of attention's keys, of one page and of eight.
      const std::int64_t length = i < long_ones ? 640 + 30 * i : 24 + 17 * i;
      const Stats s = compare(static_cast<std::uint64_t>(100 + i), length, tokens, i % 4 == 3);
      sum.rounds += s.rounds;
      sum.proposed += s.proposed;
      sum.accepted += s.accepted;
      sum.rejected_rows += s.rejected_rows;
    }
    EXPECT_GT(sum.accepted, 0);
    EXPECT_GT(sum.rejected_rows, 0);
    std::printf("             %d texts: %lld drafts proposed, %lld accepted, %lld rows undone\n",
                count, static_cast<long long>(sum.proposed), static_cast<long long>(sum.accepted),
                static_cast<long long>(sum.rejected_rows));
  }
  // All widths over `length` tokens against one row at a time.
  void widths(std::int64_t length, std::initializer_list<std::int64_t> list) {
    const auto text = prompt(7, length);
    EvaluateOptions options;
    options.executor = executor_;
    const Logits expected = must_evaluate(model_, options, text, equal_chunks(length, 1));
    for (const std::int64_t width : list) {
      const Logits found = must_evaluate(model_, options, text, equal_chunks(length, width));
      EXPECT_EQ(found.filled(), length);
      EXPECT_TRUE(same_bytes(expected, found)) << "width " << width;
    }
    const Logits found = must_evaluate(model_, options, text, random_chunks(3, length, 128));
    EXPECT_TRUE(same_bytes(expected, found)) << "random split of seed 3";
  }

  Executor* executor_ = nullptr;
  std::shared_ptr<const Model> model_;
};

TEST_F(RealModel, SpeculativeTextsEqualPlainOnes) { texts(4, 32, 1); }
TEST_F(RealModel, LogitsAreEqualAtSomeWidths) { widths(72, {2, 5, 8, 16}); }

// Sampled, with a constraint on nothing but which tokens exist, a prompt that repeats itself.
TEST_F(RealModel, SampledSpeculativeTextsEqualPlainOnes) {
  Session::Options options;
  options.executor = executor_;
  options.context = 400;
  auto plain = Session::create(model_, options), session = Session::create(model_, options);
  ASSERT_TRUE(plain && session);
  const SamplingOptions sampling{
      .temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1.1, .seed = 11};
  ASSERT_TRUE(plain->set_sampling(sampling));
  ASSERT_TRUE(session->set_sampling(sampling));
  session->set_drafter(*draft::AnyDrafter::make(*draft::Lookup::create({})));
  const auto text = prompt(55, 120);
  const Decoded expected = must_decode(*plain, text, 40);
  const Decoded found = must_decode(*session, text, 40, {}, poison_uncommitted);
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_TRUE(same_bytes(expected.logits, found.logits));
}

// The same logits and the same noise draw the same tokens: a model that drafts for itself is right
// every time, whatever the temperature, so that a round gives one token more than it drafts.
TEST_F(RealModel, AModelIsRightAboutItself) {
  constexpr std::int64_t length = 4, rounds = 6, count = 1 + rounds * (length + 1);
  for (const double temperature : {0.0, 1.0}) {
    Session::Options options;
    options.executor = executor_;
    options.context = 200;
    auto plain = Session::create(model_, options), session = Session::create(model_, options);
    ASSERT_TRUE(plain && session);
    const SamplingOptions sampling{.temperature = temperature, .seed = 3};
    ASSERT_TRUE(plain->set_sampling(sampling) && session->set_sampling(sampling));
    draft::DraftModel::Options drafting;
    drafting.length = length;
    drafting.capacity = 201;
    drafting.executor = executor_;
    auto model = draft::DraftModel::create(model_, drafting);
    ASSERT_TRUE(model) << show(model.error());
    session->set_drafter(*draft::AnyDrafter::make(*std::move(model)));
    const auto text = prompt(31, 60);
    const Decoded expected = must_decode(*plain, text, count);
    const Decoded found = must_decode(*session, text, count, {}, poison_uncommitted);
    EXPECT_EQ(found.tokens, expected.tokens);
    EXPECT_TRUE(same_bytes(expected.logits, found.logits));
    EXPECT_EQ(found.stats.rounds, rounds);
    EXPECT_EQ(found.stats.tau(), 1.0 + length) << "temperature " << temperature;
  }
}

// A prompt of some seconds and a text, stopped at several moments. The best of some tries counts:
// other programs may hold the processor.
TEST_F(RealModel, StopsWithin50Milliseconds) {
  Session::Options options;
  options.executor = executor_;
  options.context = 2048;
  auto session = Session::create(model_, options);
  ASSERT_TRUE(session);
  const auto text = prompt(3, 1900);
  const auto stop_after = [&](int wait_ms, auto&& call) {
    std::atomic<bool> cancel{false};
    std::chrono::steady_clock::time_point asked;
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
      asked = std::chrono::steady_clock::now();
      cancel = true;
    });
    call(cancel);
    const auto back = std::chrono::steady_clock::now();
    other.join();
    return std::chrono::duration<double, std::milli>(back - asked).count();
  };
  double prefill = 1e9, decode = 1e9;
  std::int64_t kept = 0;
  for (int i = 0; i < 5; ++i) {
    prefill = std::min(prefill, stop_after(150 + 37 * i, [&](std::atomic<bool>& cancel) {
                         GenerateOptions generate;
                         generate.cancel = &cancel;
                         const auto begun = session->begin(text, generate);
                         ASSERT_FALSE(begun);
                         EXPECT_EQ(begun.error().code, Code::cancelled);
                         kept = session->length();
                         EXPECT_EQ(static_cast<std::int64_t>(session->text().size()), kept);
                       }));
  }
  const auto short_text = std::span(text).first(60);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(session->begin(short_text));
    decode = std::min(decode, stop_after(50 + 13 * i, [&](std::atomic<bool>& cancel) {
                        GenerateOptions generate;
                        generate.max_tokens = 1 << 20;
                        generate.cancel = &cancel;
                        const auto stop = session->resume({}, generate);
                        ASSERT_TRUE(stop);
                        EXPECT_EQ(*stop, StopReason::cancelled);
                      }));
  }
  EXPECT_LT(prefill, 50);
  EXPECT_LT(decode, 50);
  std::printf("             stopped within %.1f ms in a prompt, %.1f ms in a text\n", prefill,
              decode);
  // And goes on as if it had never been stopped.
  const Decoded found = go_on(*session, 8);
  auto plain = Session::create(model_, options);
  ASSERT_TRUE(plain);
  const auto all = std::vector<std::int32_t>(session->text().begin(), session->text().end());
  const std::size_t old = all.size() - found.tokens.size();
  ASSERT_TRUE(plain->begin(std::span(all).first(old)));
  plain->set_least_need(Need::logits);
  ASSERT_TRUE(plain->rewind(static_cast<std::int64_t>(old)));
  const Decoded expected = go_on(*plain, 8);
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_TRUE(same_bytes(expected.logits, found.logits));
}

TEST_F(RealModel, SlowTwentySpeculativeTextsEqualPlainOnes) { texts(20, 128, 3); }
TEST_F(RealModel, SlowLogitsAreEqualAtEveryWidth) {
  widths(208, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
}
TEST_F(RealModel, SlowEveryIsaGivesTheSameBytes) {
  const auto text = prompt(5, 80);
  EvaluateOptions options;
  options.executor = executor_;
  const Logits expected = must_evaluate(model_, options, text, equal_chunks(80, 16));
  for (const cpu::Isa isa : available_isas()) {
    options.isa = isa;
    EXPECT_TRUE(same_bytes(expected, must_evaluate(model_, options, text, equal_chunks(80, 11))))
        << to_string(isa);
  }
}

}  // namespace
}  // namespace kedge::tests
