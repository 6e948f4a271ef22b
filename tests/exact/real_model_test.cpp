// SmolLM2-135M-Instruct itself, when the file is there: speculative text equals plain text, and
// logits are equal at every width. Its path: $KEDGE_MODEL, else models/ in the source folder.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "exact/decode.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/scripted.hpp"
#include "support/all_executors.hpp"

namespace kedge::tests {
namespace {

std::string model_path() {
  if (const char* path = std::getenv("KEDGE_MODEL"); path != nullptr) return path;
  return KEDGE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

class RealModel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(model_path()))
      GTEST_SKIP() << "no model at " << model_path() << "; set KEDGE_MODEL to its path";
    static auto executor = make_default_executor(0);
    ASSERT_TRUE(executor);
    executor_ = executor->get();
    static auto model = [] {
      Model::Options options;
      options.executor = executor->get();
      return Model::load(model_path().c_str(), options);
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
