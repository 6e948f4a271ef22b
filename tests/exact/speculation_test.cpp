// Speculation changes nothing but the speed: text, logits and state equal plain decoding's, byte
// for byte, whatever is drafted, accepted and undone.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "exact/decode.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/scripted.hpp"
#include "support/all_executors.hpp"
#include "support/weight_elements.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t most_drafts = 16;

std::vector<draft::Scripted::Step> every_pair() {
  std::vector<draft::Scripted::Step> steps;
  for (std::int64_t proposed = 0; proposed <= most_drafts; ++proposed)
    for (std::int64_t accepted = 0; accepted <= proposed; ++accepted)
      steps.push_back({proposed, accepted});
  std::mt19937_64 rng(42);  // widths in no order
  std::shuffle(steps.begin(), steps.end(), rng);
  return steps;
}
// Tokens that every_pair() makes: a round of (p, a) makes a + 1.
constexpr std::int64_t pair_tokens = 969;

class Speculation : public ::testing::TestWithParam<TinyKind> {
 protected:
  struct Plain {
    std::shared_ptr<const Model> model;
    std::vector<std::int32_t> prompt;
    std::map<Element, Decoded> decoded;  // by the cache's element
  };

  void SetUp() override {
    spec_ = tiny_spec(GetParam(), 4);
    static std::map<TinyKind, Plain> all;
    Plain& p = all[GetParam()];
    if (p.model == nullptr) {
      p.model = load_tiny(spec_);
      p.prompt = random_tokens(9, 37, spec_.vocabulary);
    }
    plain_ = &p;
    ASSERT_NE(p.model, nullptr);
  }

  // Of pair_tokens tokens and the first one, plus some that tests may want beyond.
  const Decoded& plain(Element cache = Element::f16) {
    const auto found = plain_->decoded.find(cache);
    if (found != plain_->decoded.end()) return found->second;
    Session::Options options;
    options.cache = cache;
    auto session = make(options);
    return plain_->decoded
        .emplace(cache,
                 session ? must_decode(*session, plain_->prompt, pair_tokens + 18) : Decoded())
        .first->second;
  }
  std::unique_ptr<Session> make(Session::Options options) const {
    auto session = Session::create(plain_->model, options);
    EXPECT_TRUE(session) << show(session.error());
    return session ? std::make_unique<Session>(*std::move(session)) : nullptr;
  }
  std::unique_ptr<Session> scripted(const Session::Options& options,
                                    std::vector<draft::Scripted::Step> steps) {
    auto session = make(options);
    auto drafter =
        draft::AnyDrafter::make(draft::Scripted(plain(options.cache).tokens, std::move(steps),
                                                static_cast<std::int32_t>(spec_.vocabulary)));
    EXPECT_TRUE(drafter);
    if (session && drafter) session->set_drafter(*std::move(drafter));
    return session;
  }

  // Every pair once, with what is undone poisoned before the next round.
  void force_every_pair(const Session::Options& options, const std::string& what) {
    const auto steps = every_pair();
    auto session = scripted(options, steps);
    ASSERT_NE(session, nullptr);
    std::int64_t poisoned = 0;
    const Decoded found =
        must_decode(*session, plain_->prompt, pair_tokens + 18, {}, [&](Session& s) {
          if (s.stats().rounds > static_cast<std::int64_t>(steps.size())) return;
          poison_uncommitted(s);
          ++poisoned;
        });
    ASSERT_GE(found.rounds.size(), steps.size()) << what;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_EQ(found.rounds[i].proposed, steps[i].proposed) << what << ", round " << i;
      EXPECT_EQ(found.rounds[i].accepted, steps[i].correct) << what << ", round " << i;
      EXPECT_EQ(found.rounds[i].evaluated, std::min(steps[i].proposed, steps[i].correct + 1))
          << what << ", round " << i;
    }
    const Decoded& expected = plain(options.cache);
    EXPECT_EQ(found.tokens, expected.tokens) << what;
    EXPECT_TRUE(same_bytes(expected.logits, found.logits)) << what << ", " << spec_.describe();
    EXPECT_EQ(found.logits.filled(), expected.logits.filled()) << what;
    const std::int64_t rejected = found.stats.proposed - found.stats.accepted;
    EXPECT_EQ(poisoned, static_cast<std::int64_t>(steps.size()));
    EXPECT_GT(found.stats.accepted, 0);
    EXPECT_GT(rejected, 0);
    EXPECT_EQ(found.stats.rejected_rows, rejected);
    accepted_ += found.stats.accepted;
    rejected_ += rejected;
  }

  void TearDown() override {
    if (accepted_ + rejected_ == 0) return;
    RecordProperty("accepted", std::to_string(accepted_));
    RecordProperty("rejected", std::to_string(rejected_));
    std::printf("             %s: %lld drafts accepted, %lld rejected, text and logits equal\n",
                to_string(GetParam()), static_cast<long long>(accepted_),
                static_cast<long long>(rejected_));
  }

  TinySpec spec_;
  Plain* plain_ = nullptr;
  std::int64_t accepted_ = 0, rejected_ = 0;
};

// A constant text would accept any draft that repeats it, and prove nothing.
TEST_P(Speculation, ThePlainTextWanders) {
  std::map<std::int32_t, int> seen;
  for (std::size_t i = 0; i < 100; ++i) ++seen[plain().tokens.at(i)];
  EXPECT_GT(seen.size(), 8u) << spec_.describe();
}

TEST_P(Speculation, EveryProposedAndAcceptedPair) {
  for (const cpu::Isa isa : {cpu::Isa::scalar, cpu::best_isa()}) {
    if (isa == cpu::Isa::scalar && spec_.width > 100) continue;  // in the slow form
    Session::Options options;
    options.isa = isa;
    force_every_pair(options, to_string(isa));
  }
}

TEST_P(Speculation, EveryPairOnThreeThreadsWithAnF32Cache) {
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(pool);
  Session::Options options;
  options.executor = pool->get();
  options.cache = Element::f32;
  force_every_pair(options, "pool of 3, f32 cache");
}

TEST_P(Speculation, EveryPairWithABlockOrBf16Cache) {
  Session::Options options;
  options.cache = spec_.head_dim % 32 == 0 ? Element::q8_0 : Element::bf16;
  force_every_pair(options, std::string(to_string(options.cache)) + " cache");
}

TEST_P(Speculation, SlowEveryPairOnEveryIsaInEveryCache) {
  int combination = 0;
  for (const cpu::Isa isa : available_isas())
    for (const Element cache : {Element::f16, Element::f32, Element::bf16, Element::q8_0}) {
      if (!takes_combination(GetParam(), combination++)) continue;
      if (!op::expect_cache_element("cache", cache, spec_.head_dim)) continue;
      Session::Options options;
      options.isa = isa;
      options.cache = cache;
      force_every_pair(options, std::string(to_string(isa)) + ", " + to_string(cache) + " cache");
    }
}

// On the best ISA alone: an executor cannot know what runs on it, and three threads on two
// processors take turns at every barrier.
TEST_P(Speculation, SlowEveryPairOnEveryExecutor) {
  for (const NamedExecutor& e : all_executors()) {
    Session::Options options;
    options.executor = e.executor.get();
    force_every_pair(options, e.name);
  }
}

// The same state, not only the same text: what lies in the pages of committed positions is what
// plain decoding put there.
TEST_P(Speculation, CommittedPagesEqualPlainOnes) {
  const std::int64_t count = 200;
  Session::Options options;
  auto a = make(options);
  auto b = scripted(options, {{8, 3}, {16, 0}, {5, 5}, {1, 0}, {12, 11}});
  ASSERT_TRUE(a && b);
  must_decode(*a, plain_->prompt, count);
  const Decoded found = must_decode(*b, plain_->prompt, count);
  EXPECT_GT(found.stats.rejected_rows, 0);
  ASSERT_EQ(a->length(), b->length());
  poison_uncommitted(*a);
  poison_uncommitted(*b);
  ASSERT_EQ(a->cache().bytes(), b->cache().bytes());
  // Both took the same pages: a session's pages come in the order of its positions.
  EXPECT_EQ(std::memcmp(a->cache().pool(), b->cache().pool(), a->cache().bytes()), 0);
}

TEST_P(Speculation, CommitAndUndoMoveNoByte) {
  auto session = make({});
  ASSERT_NE(session, nullptr);
  must_decode(*session, plain_->prompt, 100);
  KvCache& cache = session->cache();
  auto sequence = Sequence::create(cache);
  ASSERT_FALSE(sequence) << "a session has one sequence, and it is in use";

  // The parts that a round is made of, driven by hand.
  const ModelConfig& config = plain_->model->config();
  auto cpu = Cpu::create({});
  KvCache::Options kv;
  kv.positions = 256;
  auto own = KvCache::create(config.layers, config.kv_heads, config.head_dim, kv);
  ASSERT_TRUE(own);
  std::memset(own->pool(), 0, own->bytes());
  auto forward = Forward::create(plain_->model, *cpu, *own, {});
  ASSERT_TRUE(forward) << show(forward.error());
  auto text = Sequence::create(*own);
  ASSERT_TRUE(text);
  const auto tokens = random_tokens(6, 200, spec_.vocabulary);
  const auto run = [&](std::int64_t count) {
    std::vector<Row> rows;
    for (std::int64_t p = text->length(); p < text->length() + count; ++p)
      rows.push_back({tokens[static_cast<std::size_t>(p)], static_cast<std::int32_t>(p),
                      text->index(), p + 1 == text->length() + count ? Need::logits : Need::none});
    const Status status = forward->run(rows);
    EXPECT_TRUE(status) << show(status.error());
  };
  const auto pool = [&] { return std::vector<std::byte>(own->pool(), own->pool() + own->bytes()); };
  for (const std::int64_t rows : {60, 9, 17, 1, 30}) {
    for (const std::int64_t kept : {std::int64_t{0}, rows / 2, rows}) {
      const std::int64_t length = text->length();
      auto transaction = text->begin(rows);
      ASSERT_TRUE(transaction) << show(transaction.error());
      run(rows);
      const auto before = pool();
      ASSERT_TRUE(transaction->commit(kept));
      EXPECT_EQ(std::memcmp(before.data(), own->pool(), before.size()), 0)
          << "commit(" << kept << ") of " << rows << " rows moved bytes";
      EXPECT_EQ(text->length(), length + kept);
    }
    const auto before = pool();
    const std::int64_t length = text->length();
    { ASSERT_TRUE(text->begin(5)); }  // dropped
    EXPECT_EQ(std::memcmp(before.data(), own->pool(), before.size()), 0);
    EXPECT_EQ(text->length(), length);
  }
}

// A round that undoes drafts leaves the bytes of committed rows alone.
TEST_P(Speculation, RejectedRoundsTouchNoCommittedRow) {
  auto session = scripted({}, {{16, 0}, {7, 2}, {3, 3}});
  ASSERT_NE(session, nullptr);
  std::vector<char> kept;
  std::vector<std::byte> bytes;
  std::int64_t checked = 0;
  must_decode(*session, plain_->prompt, 120, {}, [&](Session& s) {
    const std::byte* pool = s.cache().pool();
    for (std::size_t i = 0; i < kept.size(); ++i)
      if (kept[i] != 0) {
        ASSERT_EQ(bytes[i], pool[i]) << "byte " << i << " in round " << s.stats().rounds;
        ++checked;
      }
    kept = committed_bytes(s);
    bytes.assign(pool, pool + s.cache().bytes());
  });
  EXPECT_GT(checked, 0);
}

TEST_P(Speculation, LookupOnARepetitivePrompt) {
  // A phrase three times over, then its beginning: lookup finds much; what it finds need not hold.
  std::vector<std::int32_t> prompt;
  for (int i = 0; i < 3; ++i) {
    const auto phrase = random_tokens(21, 40, spec_.vocabulary);
    prompt.insert(prompt.end(), phrase.begin(), phrase.end());
  }
  prompt.resize(prompt.size() - 25);
  const std::int64_t count = 300;
  auto plain_session = make({}), session = make({});
  ASSERT_TRUE(plain_session && session);
  auto lookup = draft::Lookup::create({});
  ASSERT_TRUE(lookup);
  auto drafter = draft::AnyDrafter::make(*std::move(lookup));
  ASSERT_TRUE(drafter);
  session->set_drafter(*std::move(drafter));
  const Decoded expected = must_decode(*plain_session, prompt, count);
  const Decoded found = must_decode(*session, prompt, count, {}, poison_uncommitted);
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_TRUE(same_bytes(expected.logits, found.logits)) << spec_.describe();
  EXPECT_EQ(expected.stats.rounds, count - 1);
  EXPECT_GT(found.stats.proposed, 0);
  EXPECT_GT(found.stats.rejected_rows, 0);
  accepted_ = found.stats.accepted;
  rejected_ = found.stats.proposed - found.stats.accepted;
}

TEST_P(Speculation, ADrafterWithoutDraftsIsPlainDecoding) {
  auto session = scripted({}, {});
  ASSERT_NE(session, nullptr);
  const Decoded found = must_decode(*session, plain_->prompt, 40);
  EXPECT_TRUE(std::equal(found.tokens.begin(), found.tokens.end(), plain().tokens.begin()));
  EXPECT_TRUE(same_bytes(plain().logits, found.logits));
  EXPECT_EQ(found.stats.rounds, 39);
  EXPECT_EQ(found.stats.proposed, 0);
  EXPECT_EQ(found.stats.tau(), 1.0);
}

// The context ends inside a block that would be accepted: plain and speculative stop at the same
// token, and every token was told.
TEST_P(Speculation, AFullContextStopsBothAtTheSameToken) {
  for (const std::int64_t room : {1, 2, 9, 27}) {
    Session::Options options;
    options.context = static_cast<std::int64_t>(plain_->prompt.size()) + room;
    struct Told {
      std::vector<std::int32_t> tokens;
      bool in_order = true;
      std::int64_t next;
    };
    GenerateOptions generate;
    generate.max_tokens = 1000;
    generate.on_token = [](void* context, const TokenEvent& event) noexcept {
      auto& told = *static_cast<Told*>(context);
      told.in_order = told.in_order && event.position == told.next++;
      told.tokens.push_back(event.id);
      return true;
    };
    for (const bool speculative : {false, true}) {
      Told told{{}, true, static_cast<std::int64_t>(plain_->prompt.size())};
      generate.context = &told;
      auto session = speculative ? scripted(options, {{8, 8}, {5, 5}, {16, 9}}) : make(options);
      ASSERT_NE(session, nullptr);
      auto stop = session->generate(plain_->prompt, generate);
      ASSERT_TRUE(stop) << show(stop.error());
      EXPECT_EQ(*stop, StopReason::context_full);
      // One from the prompt's pass, one for every position that was left.
      ASSERT_EQ(static_cast<std::int64_t>(told.tokens.size()), room + 1) << speculative;
      EXPECT_TRUE(told.in_order);
      EXPECT_TRUE(std::equal(told.tokens.begin(), told.tokens.end(), plain().tokens.begin()));
      EXPECT_EQ(session->length(), options.context);
      EXPECT_EQ(session->stats().tokens, room + 1);
      const auto more = session->round(10);
      ASSERT_TRUE(more) << "asking again is no error";
      EXPECT_TRUE(more->tokens.empty());
      EXPECT_EQ(more->stop, StopReason::context_full);
    }
  }
}

TEST_P(Speculation, ALimitInsideAnAcceptedBlockIsKept) {
  for (std::int64_t limit = 1; limit <= 24; ++limit) {
    auto session = scripted({}, {{8, 8}, {16, 16}});
    ASSERT_NE(session, nullptr);
    session->set_least_need(Need::logits);
    GenerateOptions generate;
    generate.max_tokens = limit;
    std::vector<std::int32_t> told;
    generate.context = &told;
    generate.on_token = [](void* context, const TokenEvent& event) noexcept {
      static_cast<std::vector<std::int32_t>*>(context)->push_back(event.id);
      return true;
    };
    auto stop = session->generate(plain_->prompt, generate);
    ASSERT_TRUE(stop) << show(stop.error());
    EXPECT_EQ(*stop, StopReason::token_limit);
    ASSERT_EQ(static_cast<std::int64_t>(told.size()), limit);
    EXPECT_TRUE(std::equal(told.begin(), told.end(), plain().tokens.begin())) << limit;
    EXPECT_EQ(session->length(), static_cast<std::int64_t>(plain_->prompt.size()) + limit - 1);
    // And it goes on from there as if nothing had been cut.
    auto more = session->round(1);
    ASSERT_TRUE(more) << show(more.error());
    ASSERT_EQ(more->tokens.size(), 1u);
    EXPECT_EQ(more->tokens[0], plain().tokens[static_cast<std::size_t>(limit)]);
    EXPECT_TRUE(
        report(first_difference(session->length() - 1, plain().logits.row(session->length() - 1),
                                session->forward().logits(0))));
  }
}

TEST_P(Speculation, AnEndTokenInsideAnAcceptedBlockLeavesThePlainState) {
  int inside = 0;
  const auto& text = plain().tokens;
  for (std::size_t at = 2; at < 30; ++at) {
    const std::int32_t end = text[at];
    if (std::find(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), end) !=
        text.begin() + static_cast<std::ptrdiff_t>(at))
      continue;  // it would end the text earlier
    auto session = scripted({}, {{8, 8}, {16, 16}});
    auto plain_session = make({});
    ASSERT_TRUE(session && plain_session);
    const Decoded a = must_decode(*plain_session, plain_->prompt, 200, {&end, 1});
    const Decoded b = must_decode(*session, plain_->prompt, 200, {&end, 1});
    EXPECT_EQ(a.stop, StopReason::end_token);
    EXPECT_EQ(b.stop, StopReason::end_token);
    EXPECT_EQ(a.tokens.size(), at + 1);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(plain_session->length(), session->length());
    inside += b.rounds.back().proposed > b.rounds.back().accepted ? 1 : 0;
    EXPECT_LE(b.stats.accepted, b.stats.evaluated);
    EXPECT_LE(b.stats.evaluated, b.stats.proposed);
    // What comes next, end token or not, has the same logits.
    auto next_a = plain_session->round(1), next_b = session->round(1);
    ASSERT_TRUE(next_a && next_b);
    ASSERT_EQ(next_a->tokens.size(), 1u);
    EXPECT_EQ(next_a->tokens[0], next_b->tokens[0]);
    EXPECT_TRUE(report(first_difference(session->length() - 1, plain_session->forward().logits(0),
                                        session->forward().logits(0))));
  }
  EXPECT_GT(inside, 3) << "no block was cut: the test tests nothing";
}

INSTANTIATE_TEST_SUITE_P(Formats, Speculation, ::testing::ValuesIn(tiny_formats()), ElementName());
INSTANTIATE_TEST_SUITE_P(Architectures, Speculation, ::testing::ValuesIn(tiny_architectures),
                         ElementName());

}  // namespace
}  // namespace kedge::tests
