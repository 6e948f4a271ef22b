// The decode loop allocates nothing after its first round: drafting, the pass, verification, undo
// and streaming text included. The C library's allocation functions are replaced by counting ones
// (operator new calls malloc), so a program of its own.
#include <gtest/gtest.h>

#include <cstdlib>

#include "exact/drafters.hpp"
#include "exact/sampled.hpp"
#include "support/all_executors.hpp"
#include "support/failing_malloc.hpp"

#if defined(KEDGE_TEST_TEXT)
#include "kedge/text/stream_decoder.hpp"
#endif

// What support/failing_malloc.cpp counts; sanitizers replace malloc themselves.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KEDGE_TEST_COUNTS_ALLOCATIONS 1
#endif

#if defined(KEDGE_TEST_COUNTS_ALLOCATIONS)
namespace kedge::tests {
namespace {

TEST(Allocations, TheCounterCounts) {
  const std::int64_t before = requests();
  void* volatile memory = std::malloc(10);
  std::free(memory);
  EXPECT_EQ(requests(), before + 1);
  delete new volatile int(3);
  EXPECT_EQ(requests(), before + 2);
  { auto buffer = Buffer::create(1000, "test"); }
  EXPECT_EQ(requests(), before + 3);
  std::string* volatile text = new std::string(100, 'x');
  delete text;
  EXPECT_EQ(requests(), before + 5);
  std::vector<int> v(3);
  EXPECT_EQ(requests(), before + 6);
}

TEST(Allocations, CommitAndUndoMakeNone) {
  auto cache = KvCache::create(1, 1, 16, {.positions = 1000});
  ASSERT_TRUE(cache);
  auto sequence = Sequence::create(*cache);
  ASSERT_TRUE(sequence);
  const std::int64_t before = requests();
  for (int i = 0; i < 50; ++i) {
    auto transaction = sequence->begin(17);
    if (!transaction || !transaction->commit(i % 18)) FAIL();
  }
  EXPECT_EQ(requests(), before);
  EXPECT_GT(sequence->length(), 64);
}

#if defined(KEDGE_TEST_TEXT)
// A vocabulary of printable bytes and pairs of them.
text::StreamDecoder make_decoder(std::int64_t vocabulary) {
  text::TokenizerData data;
  data.pre = "smollm";
  for (char c = '!'; c <= '~'; ++c) data.tokens.emplace_back(1, c);
  for (char c = '!'; static_cast<std::int64_t>(data.tokens.size()) < vocabulary; ++c) {
    data.tokens.push_back(std::string{c, '!'});
    data.merges.push_back(std::string{c, ' ', '!'});
  }
  data.types.assign(data.tokens.size(), text::TokenType::normal);
  auto tokenizer = text::Tokenizer::create(std::move(data));
  EXPECT_TRUE(tokenizer) << show(tokenizer.error());
  auto decoder = text::StreamDecoder::create(*tokenizer);
  EXPECT_TRUE(decoder) << show(decoder.error());
  return *std::move(decoder);
}
#endif

constexpr std::int64_t last_round = 52;

struct Stream {
#if defined(KEDGE_TEST_TEXT)
  text::StreamDecoder decoder;
#endif
  std::int64_t after_first_round = 0, at_end = 0;
  std::int64_t tokens = 0, round = 0;
  std::size_t bytes = 0;
};

bool on_token(void* context, const TokenEvent& event) noexcept {
  auto& s = *static_cast<Stream*>(context);
  s.round = event.round;
  ++s.tokens;
#if defined(KEDGE_TEST_TEXT)
  s.bytes += s.decoder.push(event.id).size();
#endif
  s.at_end = requests();
  if (event.round <= 1) s.after_first_round = s.at_end;
  return s.round < last_round;
}

class DecodeLoop : public ::testing::TestWithParam<Element> {};

TEST_P(DecodeLoop, AllocatesNothingAfterItsFirstRound) {
  const TinySpec spec = tiny_spec(GetParam(), 7);
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  std::vector<std::int32_t> prompt = random_tokens(2, 30, spec.vocabulary);
  prompt.insert(prompt.end(), prompt.begin(), prompt.end());
  auto plain_session = Session::create(model, {});
  ASSERT_TRUE(plain_session) << show(plain_session.error());
  const Decoded plain = must_decode(*plain_session, prompt, 520);
  int runs = 0;
  for (const NamedExecutor& e : all_executors())
    for (const bool scripted : {false, true}) {
      // Threads beyond the processors take turns at every barrier: once is enough.
      if (scripted && e.executor != nullptr && e.executor->workers() == 3) continue;
      const std::string what = spec.describe() + ", " + e.name + (scripted ? ", scripted" : "");
      Session::Options options;
      options.executor = e.executor.get();
      // Every other run draws, with penalties, filters, log-probabilities and a constraint.
      const bool draws = runs++ % 2 == 1;
      auto session = Session::create(model, options);
      ASSERT_TRUE(session) << what << ": " << show(session.error());
      if (draws) {
        ASSERT_TRUE(session->set_sampling(
            {.temperature = 1, .top_k = 50, .top_p = 0.95, .repetition_penalty = 1.1, .seed = 1}));
        ASSERT_TRUE(session->report_logprobs(5));
        session->set_constraint(*Constraint::make(json_of(spec.vocabulary)));
      }
      if (scripted) {
        auto drafter = draft::AnyDrafter::make(
            draft::Scripted(plain.tokens, {{8, 3}, {16, 16}, {4, 0}, {16, 9}, {0, 0}},
                            static_cast<std::int32_t>(spec.vocabulary)));
        session->set_drafter(*std::move(drafter));
      } else {
        auto lookup = draft::Lookup::create({.min_match = 1});
        ASSERT_TRUE(lookup);
        session->set_drafter(*draft::AnyDrafter::make(*std::move(lookup)));
      }
      Stream stream {
#if defined(KEDGE_TEST_TEXT)
        make_decoder(spec.vocabulary),
#endif
      };
      GenerateOptions generate;
      generate.max_tokens = 1000;
      generate.on_token = on_token;
      generate.context = &stream;
      const auto stop = session->generate(prompt, generate);
      ASSERT_TRUE(stop) << what << ": " << show(stop.error());
      EXPECT_EQ(stream.round, last_round) << what << ": stopped early, " << to_string(*stop);
      EXPECT_GT(session->stats().proposed, 0) << what;
      EXPECT_GT(session->stats().rejected_rows, 0) << what;
      EXPECT_EQ(stream.at_end - stream.after_first_round, 0u) << what;
#if defined(KEDGE_TEST_TEXT)
      EXPECT_GT(stream.bytes, 0u);
#endif
    }
}

// The states of recurrent layers too: rings, planes and landmarks are there from the beginning.
TEST(HybridLoop, AllocatesNothingAfterItsFirstRound) {
  auto loaded = Model::load(KEDGE_GOLDEN_DIR "/hybrid/one.gguf", {});
  ASSERT_TRUE(loaded) << show(loaded.error());
  const std::shared_ptr<const Model> model = *std::move(loaded);
  const std::int64_t vocabulary = model->config().vocabulary;
  const auto prompt = random_tokens(2, 30, vocabulary);
  auto plain = Session::create(model, {});
  ASSERT_TRUE(plain && plain->begin(prompt));
  while (plain->text().size() < 200) ASSERT_TRUE(plain->round(1));
  using Choice = RecurrentOptions::Choice;
  for (const Choice choice : {Choice::snapshots, Choice::replay, Choice::checkpoint}) {
    Session::Options options;
    options.recurrent.choice = choice;
    auto session = Session::create(model, options);
    ASSERT_TRUE(session);
    auto drafter = draft::AnyDrafter::make(draft::Scripted(
        {plain->text().begin() + 30, plain->text().end()},
        {{8, 3}, {16, 16}, {4, 0}, {16, 9}, {0, 0}}, static_cast<std::int32_t>(vocabulary)));
    session->set_drafter(*std::move(drafter));
    ASSERT_TRUE(session->begin(prompt) && session->round(100));
    const std::int64_t before = requests();
    while (session->text().size() < 150) ASSERT_TRUE(session->round(30));
    ASSERT_TRUE(session->rewind(100) && session->round(30) && session->rewind(40));
    while (session->text().size() < 150) ASSERT_TRUE(session->round(30));
    EXPECT_EQ(requests() - before, 0) << to_string(choice);
    EXPECT_GT(session->stats().rejected_rows, 0);
  }
}

// Every drafter takes its memory when it is made, and a draft model's cache grows without.
TEST(Drafters, AllocateNothingAfterTheFirstRound) {
  const TinySpec spec = tiny_spec(Element::f32);
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  auto prompt = random_tokens(2, 40, spec.vocabulary);
  prompt.insert(prompt.end(), prompt.begin(), prompt.end());
  for (const std::string& name : drafter_names())
    for (const bool draws : {false, true}) {
      auto session = Session::create(model, {});
      ASSERT_TRUE(session);
      if (draws) {
        ASSERT_TRUE(session->set_sampling({.temperature = 0.3, .seed = 1}));
      }
      session->set_drafter(make_drafter(name, model));
      ASSERT_TRUE(session->begin(prompt) && session->round(100));
      const std::int64_t before = requests();
      while (session->text().size() < 400) ASSERT_TRUE(session->round(30));
      ASSERT_TRUE(session->rewind(200) && session->round(30));
      while (session->text().size() < 400) ASSERT_TRUE(session->round(30));
      EXPECT_EQ(requests() - before, 0) << name;
      EXPECT_GT(session->stats().proposed, 0) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, DecodeLoop, ::testing::Values(Element::f32, Element::q4_1),
                         ElementName());

}  // namespace
}  // namespace kedge::tests
#else
TEST(Allocations, NeedsTheCLibrarysMalloc) {
  GTEST_SKIP() << "built with a sanitizer, or without glibc";
}
#endif
