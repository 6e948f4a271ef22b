// What a user or a file can do wrong comes back as a value that names the thing, and the object
// still works afterwards.
#include "exact/session_errors.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace kedge::tests {
namespace {

TEST_F(SessionErrors, Options) {
  const auto create = [&](auto change) {
    Session::Options options;
    change(options);
    return Session::create(model_, options);
  };
  EXPECT_TRUE(fails_with(create([&](auto& o) { o.context = spec_.context + 1; }),
                         Code::invalid_argument, {"context", "1280", "1281"}));
  EXPECT_TRUE(fails_with(create([](auto& o) { o.context = -1; }), Code::invalid_argument,
                         {"context", "-1"}));
  EXPECT_TRUE(fails_with(create([](auto& o) { o.max_draft = 32; }), Code::invalid_argument,
                         {"max_draft", "32"}));
  EXPECT_TRUE(fails_with(create([](auto& o) { o.prefill_rows = 0; }), Code::invalid_argument,
                         {"prefill_rows", "0"}));
  EXPECT_TRUE(
      fails_with(create([](auto& o) { o.cache = Element::q8_0; }), Code::unsupported, {"q8_0"}));
  if (!cpu::isa_available(cpu::Isa::avx512)) {
    EXPECT_TRUE(fails_with(create([](auto& o) { o.isa = cpu::Isa::avx512; }), Code::unsupported,
                           {"avx512"}));
  }
}

TEST_F(SessionErrors, Prompts) {
  auto session = Session::create(model_, {});
  ASSERT_TRUE(session);
  EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"}));
  EXPECT_TRUE(fails_with(session->begin({}), Code::invalid_argument, {"prompt"}));
  still_works(*session, "an empty prompt");
  for (const std::int32_t bad :
       {-1, static_cast<std::int32_t>(spec_.vocabulary), std::numeric_limits<std::int32_t>::max(),
        std::numeric_limits<std::int32_t>::min()}) {
    auto prompt = prompt_;
    prompt[7] = bad;
    EXPECT_TRUE(fails_with(session->begin(prompt), Code::invalid_argument,
                           {std::to_string(bad).c_str(), "row 7"}));
    EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"}));
    EXPECT_EQ(session->length(), 0);
    still_works(*session, "a token outside the vocabulary");
  }
}

TEST_F(SessionErrors, APromptLongerThanTheContext) {
  Session::Options options;
  options.context = 100;
  options.prefill_rows = 32;
  auto session = Session::create(model_, options);
  ASSERT_TRUE(session);
  const auto prompt = random_tokens(1, 101, spec_.vocabulary);
  EXPECT_TRUE(fails_with(session->begin(prompt), Code::out_of_memory, {"100"}));
  EXPECT_EQ(session->length(), 0);
  still_works(*session, "a prompt of 101 tokens");
  // One that just fits has a first token and no room for another.
  ASSERT_TRUE(session->begin(std::span(prompt).first(100)));
  auto round = session->round(5);
  ASSERT_TRUE(round);
  EXPECT_EQ(round->stop, StopReason::context_full);
}

TEST_F(SessionErrors, ASessionMayBeReplacedAndMoved) {
  auto made = Session::create(model_, {});
  ASSERT_TRUE(made);
  Session session = *std::move(made);
  still_works(session, "a move");
  auto other = Session::create(model_, {});
  ASSERT_TRUE(other);
  session = *std::move(other);  // the first one's cache and pages go with it
  still_works(session, "an assignment");
}

TEST_F(SessionErrors, ForwardRefusesWhatItCannotRun) {
  const ModelConfig& config = model_->config();
  auto cpu = Cpu::create({});
  KvCache::Options kv;
  kv.positions = 64;
  kv.sequences = 2;
  auto cache = KvCache::create(config.layers, config.kv_heads, config.head_dim, kv);
  ASSERT_TRUE(cache);
  Forward::Options room;
  room.max_rows = 4;
  room.max_outputs = 2;
  auto forward = Forward::create(model_, *cpu, *cache, room);
  ASSERT_TRUE(forward) << show(forward.error());
  auto sequence = Sequence::create(*cache);
  ASSERT_TRUE(sequence);
  auto transaction = sequence->begin(64);
  ASSERT_TRUE(transaction);
  const auto run = [&](std::vector<Row> rows) { return forward->run(rows); };
  constexpr auto bad = Code::invalid_argument;
  EXPECT_TRUE(fails_with(run({}), bad, {"rows", "1..4", "0"}));
  EXPECT_TRUE(fails_with(run(std::vector<Row>(5)), bad, {"rows", "1..4", "5"}));
  EXPECT_TRUE(fails_with(run({{0, 0, 0, Need::none}, {131, 1, 0, Need::argmax}}), bad,
                         {"row 1", "131", "0..130"}));
  EXPECT_TRUE(fails_with(run({{0, 64, 0, Need::logits}}), bad, {"row 0", "position 64"}));
  EXPECT_TRUE(fails_with(run({{0, -1, 0, Need::logits}}), bad, {"row 0", "position -1"}));
  EXPECT_TRUE(fails_with(run({{0, 0, 2, Need::logits}}), bad, {"row 0", "sequence 2"}));
  EXPECT_TRUE(fails_with(run({{0, 0, -1, Need::logits}}), bad, {"row 0", "sequence -1"}));
  EXPECT_TRUE(
      fails_with(run({{0, 0, 0, Need::logits}, {1, 1, 0, Need::logits}, {2, 2, 0, Need::logits}}),
                 bad, {"2 rows want"}));
  ASSERT_TRUE(run({{prompt_[0], 0, 0, Need::logits}}));
  const Logits expected = must_evaluate(model_, {}, std::span(prompt_).first(1), {{1}});
  EXPECT_TRUE(report(first_difference(0, expected.row(0), forward->logits(0))));
}

}  // namespace
}  // namespace kedge::tests
