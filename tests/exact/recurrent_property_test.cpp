// Rounds of proposing and accepting in any order, with passes that fail, rewinds, forks, landmarks
// and files between them: every logit of every row that follows the plain text equals that of a
// plain run, token by token, that never undid anything.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "exact/mini_hybrid.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/state/sequence.hpp"
#include "unit/recurrent_toy.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t length = 400;  // of a text; a run goes through several

struct PlainText {
  std::vector<std::int32_t> tokens;  // one more than evaluated
  std::vector<float> logits;         // [length, vocabulary]

  const float* row(std::int64_t p) const { return logits.data() + p * MiniHybrid::vocabulary; }
};

PlainText plain_text(const MiniHybrid& model, std::int32_t first) {
  auto state = RecurrentState::create(model.shape(), {.policy = RecurrentPolicy::checkpoint()});
  EXPECT_TRUE(state && state->claim(0));
  PlainText text;
  text.tokens.push_back(first);
  for (std::int64_t p = 0; p < length; ++p) {
    EXPECT_TRUE(state->begin(0, 1, 1));
    const auto y = model.run(*state, 0, p, {text.tokens.back()});
    EXPECT_TRUE(y) << y.error().reason;
    EXPECT_TRUE(state->commit(0, 1));
    text.logits.insert(text.logits.end(), y->begin(), y->end());
    text.tokens.push_back(MiniHybrid::largest(text.row(p)));
  }
  return text;
}

struct Counts {
  std::int64_t rounds = 0, accepted = 0, undone = 0, failed = 0, rewinds = 0, forks = 0, files = 0;
  std::int64_t rerun = 0, landmarks = 0;
};

class Rounds {
 public:
  Rounds(const MiniHybrid& model, const PlainText& text, RecurrentPolicy policy, std::uint64_t seed)
      : model_(model),
        text_(text),
        rng_(seed),
        state_(*RecurrentState::create(model.shape(),
                                       {.policy = policy, .sequences = 2, .landmarks = 3})),
        cache_(*KvCache::create(1, 1, 4, {.positions = length + 64, .sequences = 2})),
        sequence_(*Sequence::create(cache_, &state_)) {}

  void go(std::int64_t rounds, Counts& counts) {
    for (std::int64_t i = 0; i < rounds; ++i) {
      if (sequence_.length() >= length) {
        ASSERT_TRUE(sequence_.rewind(0));
      }
      switch (below(24)) {
        case 0:
          rewind(counts);
          break;
        case 1:
          fork(counts);
          break;
        case 2:
          file(counts);
          break;
        case 3:
          state_.mark(sequence_.index(), sequence_.length());
          break;
        default:
          break;
      }
      ASSERT_NO_FATAL_FAILURE(round(counts)) << "round " << i;
      poison_unused(state_);
      ++counts.rounds;
    }
    counts.landmarks += state_.landmarks(sequence_.index());
  }

 private:
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(rng_() % static_cast<std::uint64_t>(n));
  }

  void round(Counts& counts) {
    const std::int64_t first = sequence_.length(), room = length - first;
    const std::int64_t drafts =
        std::min(below(3) == 0 ? below(30) : below(state_.policy().depth), room - 1);
    const std::int64_t right = below(drafts + 1);
    std::vector<std::int32_t> rows;
    for (std::int64_t i = 0; i <= drafts; ++i) {
      std::int32_t token = text_.tokens[static_cast<std::size_t>(first + i)];
      if (i > right)
        token = (token + 1 + static_cast<std::int32_t>(below(7))) %
                static_cast<std::int32_t>(MiniHybrid::vocabulary);
      rows.push_back(token);
    }
    std::int64_t kept = right + 1;
    {
      auto t = sequence_.begin(drafts + 1, below(4) == 0 ? 1 + below(6) : 1000);
      ASSERT_TRUE(t) << t.error().reason;
      if (below(12) == 0) {  // fails behind so many operators
        ASSERT_TRUE(model_.run(state_, sequence_.index(), first, rows,
                               static_cast<int>(below(2 * MiniHybrid::layers))));
        ++counts.failed;
        return;
      }
      const auto y = model_.run(state_, sequence_.index(), first, rows);
      ASSERT_TRUE(y) << y.error().reason;
      for (std::int64_t i = 0; i <= right; ++i)
        ASSERT_EQ(0, std::memcmp(y->data() + i * MiniHybrid::vocabulary, text_.row(first + i),
                                 MiniHybrid::vocabulary * sizeof(float)))
            << "position " << first + i << ", row " << i << " of " << drafts + 1;
      if (below(16) == 0) kept = 0;  // as if the first row had been wrong
      if (t->can_commit(kept)) {
        ASSERT_TRUE(t->commit(kept));
        counts.accepted += kept;
        counts.undone += drafts + 1 - kept;
        return;
      }
    }
    // Too little is kept: what was accepted runs again.
    rows.resize(static_cast<std::size_t>(kept));
    auto t = sequence_.begin(kept, 1);
    ASSERT_TRUE(t);
    ASSERT_TRUE(model_.run(state_, sequence_.index(), first, rows));
    ASSERT_TRUE(t->commit(kept));
    counts.rerun += kept;
  }

  void rewind(Counts& counts) {
    const std::int64_t now = sequence_.length();
    const std::int64_t to = below(2) == 0 ? now - std::min(now, below(6)) : below(now + 1);
    const std::int64_t nearest = sequence_.nearest(to);
    const auto at = sequence_.rewind(to);
    ASSERT_TRUE(at);
    ASSERT_EQ(*at, nearest);
    ASSERT_LE(*at, to);
    ++counts.rewinds;
  }
  // One of both goes on, the other ends.
  void fork(Counts& counts) {
    auto other = sequence_.fork();
    ASSERT_TRUE(other) << other.error().reason;
    if (below(2) == 0) sequence_ = *std::move(other);
    ++counts.forks;
  }
  void file(Counts& counts) {
    std::vector<std::byte> bytes;
    auto sink = io::Sink::memory(bytes);
    ASSERT_TRUE(sequence_.save(sink, 1));
    ASSERT_TRUE(sequence_.rewind(0));
    ASSERT_TRUE(sequence_.load(io::Source::memory(bytes, "file"), 0, 1));
    ++counts.files;
  }

  const MiniHybrid& model_;
  const PlainText& text_;
  std::mt19937_64 rng_;
  RecurrentState state_;
  KvCache cache_;
  Sequence sequence_;
};

constexpr std::int64_t rounds_per_seed = 250;

void any_rounds(RecurrentPolicy::Kind kind, std::int64_t total) {
  for (const bool channel_decay : {false, true}) {
    const MiniHybrid model(cpu::Isa::best, channel_decay);
    const PlainText text = plain_text(model, 5);
    Counts counts;
    for (std::uint64_t seed = 1; counts.rounds < total / 2; ++seed) {
      RecurrentPolicy policy{kind, 1};
      if (kind != RecurrentPolicy::Kind::checkpoint)
        policy.depth = 1 + static_cast<std::int64_t>(seed * 7 % 17);
      Rounds rounds(model, text, policy, seed);
      rounds.go(rounds_per_seed, counts);
      ASSERT_FALSE(::testing::Test::HasFatalFailure())
          << to_string(kind) << ' ' << policy.depth << ", seed " << seed << ", decay per "
          << (channel_decay ? "channel" : "head");
    }
    EXPECT_GT(counts.accepted, counts.rounds / 4);
    EXPECT_GT(counts.undone, counts.rounds / 4);
    EXPECT_GT(counts.failed, 0);
    EXPECT_GT(counts.landmarks, 0);
    const auto n = [](std::int64_t x) { return static_cast<long long>(x); };
    std::printf(
        "             %s: %lld rounds, %lld rows accepted, %lld undone, %lld run again, %lld "
        "passes "
        "failed, %lld rewinds, %lld forks, %lld files\n",
        to_string(kind), n(counts.rounds), n(counts.accepted), n(counts.undone), n(counts.rerun),
        n(counts.failed), n(counts.rewinds), n(counts.forks), n(counts.files));
  }
}

TEST(RecurrentProperty, ThePlainTextWandersAndIsaDoesNotMatter) {
  const PlainText best = plain_text(MiniHybrid(cpu::Isa::best, false), 5);
  const PlainText scalar = plain_text(MiniHybrid(cpu::Isa::scalar, false), 5);
  std::vector<int> seen(MiniHybrid::vocabulary);
  for (const std::int32_t token : best.tokens) ++seen[static_cast<std::size_t>(token)];
  EXPECT_GT(std::count_if(seen.begin(), seen.end(), [](int n) { return n > 3; }), 5);
  EXPECT_EQ(best.tokens, scalar.tokens);
  EXPECT_EQ(0, std::memcmp(best.logits.data(), scalar.logits.data(), best.logits.size() * 4));
}
TEST(RecurrentProperty, Snapshots) { any_rounds(RecurrentPolicy::Kind::snapshots, 10000); }
TEST(RecurrentProperty, Replay) { any_rounds(RecurrentPolicy::Kind::replay, 10000); }
TEST(RecurrentProperty, Checkpoint) { any_rounds(RecurrentPolicy::Kind::checkpoint, 10000); }

}  // namespace
}  // namespace kedge::tests
