// Going back, forking, saving, loading and extending a text: whatever way a session came to its
// tokens, what follows has the bytes that a new session gives.
#include <gtest/gtest.h>

#include "exact/errors.hpp"
#include "exact/sampled.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"

namespace kedge::tests {
namespace {

class Continue : public ::testing::TestWithParam<std::size_t> {
 protected:
  static constexpr std::int64_t count = 90;

  void SetUp() override {
    style_ = styles()[GetParam()];
    static const auto model = load_tiny(tiny_spec(Element::q4_1, 6));
    model_ = model;
    ASSERT_NE(model_, nullptr);
    vocabulary_ = model_->config().vocabulary;
    prompt_ = random_tokens(3, 50, vocabulary_);
    Session session = make_session(model_, style_);
    expected_ = must_decode(session, prompt_, count);
  }
  // A session that has generated `made` tokens, in blocks of some drafts.
  Session at(std::int64_t made, Session::Options options = {}) {
    Session session = make_session(model_, style_, options);
    session.set_drafter(script(expected_.tokens, {{5, 5}, {4, 1}, {3, 0}}, vocabulary_));
    EXPECT_TRUE(session.begin(prompt_));
    while (static_cast<std::int64_t>(session.text().size()) < 50 + made) {
      const auto left = 50 + made - static_cast<std::int64_t>(session.text().size());
      if (const auto round = session.round(left); !round) {
        ADD_FAILURE() << show(round.error());
        break;
      }
    }
    session.set_drafter({});
    return session;
  }
  // What the session generates next is what the plain text has there.
  void expect_rest(Session& session, const std::string& what) {
    const std::size_t made = session.text().size() - 50;
    ASSERT_LT(made, expected_.tokens.size()) << what;
    for (std::size_t i = 0; i < made; ++i)
      ASSERT_EQ(session.text()[50 + i], expected_.tokens[i]) << what;
    const Decoded found = go_on(session, count - static_cast<std::int64_t>(made));
    EXPECT_TRUE(std::equal(found.tokens.begin(), found.tokens.end(),
                           expected_.tokens.begin() + static_cast<std::ptrdiff_t>(made)))
        << what;
    EXPECT_EQ(found.tokens.size(), expected_.tokens.size() - made) << what;
    EXPECT_TRUE(same_bytes(expected_.logits, found.logits)) << what;
  }
  static std::vector<std::byte> save(const Session& session) {
    std::vector<std::byte> bytes;
    auto sink = io::Sink::memory(bytes);
    const Status saved = session.save(sink);
    EXPECT_TRUE(saved) << show(saved.error());
    return bytes;
  }

  Style style_{"", {}};
  std::shared_ptr<const Model> model_;
  std::int64_t vocabulary_ = 0;
  std::vector<std::int32_t> prompt_;
  Decoded expected_;
};

TEST_P(Continue, AfterRewind) {
  Session session = at(80);
  for (const std::int64_t made : {77, 60, 31, 14, 2, 1}) {
    ASSERT_TRUE(session.rewind(50 + made));
    EXPECT_EQ(session.length(), 50 + made - 1);
    expect_rest(session, "rewound to " + std::to_string(made));
  }
  // With a drafter, which is told the shorter text.
  ASSERT_TRUE(session.rewind(50 + 5));
  session.set_drafter(lookup(1));
  expect_rest(session, "rewound, with lookup");
  EXPECT_TRUE(fails_with(session.rewind(200), Code::invalid_argument, {"200"}));
  EXPECT_TRUE(fails_with(session.rewind(-1), Code::invalid_argument, {"-1"}));
  // Into the prompt: its rest is evaluated again.
  ASSERT_TRUE(session.rewind(20));
  ASSERT_TRUE(session.extend(std::span(prompt_).subspan(20)));
  expect_rest(session, "rewound into the prompt");
  ASSERT_TRUE(session.rewind(0));
  EXPECT_TRUE(fails_with(session.round(1), Code::invalid_argument, {"begin"}));
}

TEST_P(Continue, AfterAFork) {
  Session::Options options;
  options.sequences = 3;
  Session session = at(40, options);
  auto fork = session.fork(), other = session.fork();
  ASSERT_TRUE(fork && other) << show(fork.error());
  EXPECT_TRUE(fails_with(session.fork(), Code::busy, {"3 sequences"}));
  EXPECT_EQ(session.cache().copied_pages(), 0);
  // One goes another way, in turn with the others.
  const auto detour = random_tokens(77, 30, vocabulary_);
  ASSERT_TRUE(other->extend(detour));
  EXPECT_EQ(session.cache().copied_pages(), 1);
  expect_rest(*fork, "the fork");
  EXPECT_EQ(session.cache().copied_pages(), 2);
  expect_rest(session, "the first one");
  EXPECT_EQ(session.cache().copied_pages(), 2) << "it was alone with its page by then";
  // The detour is as if nobody else had been there.
  std::vector<std::int32_t> text(other->text().begin(), other->text().end());
  Session fresh = make_session(model_, style_);
  ASSERT_TRUE(fresh.begin(std::span(text).first(50)));
  ASSERT_TRUE(fresh.rewind(50));
  text.pop_back();
  fresh.set_constraint({});
  ASSERT_TRUE(fresh.extend(std::span(text).subspan(50)));
  set_style(fresh, style_);
  set_style(*other, style_);
  ASSERT_TRUE(fresh.rewind(static_cast<std::int64_t>(text.size())));
  ASSERT_TRUE(other->rewind(static_cast<std::int64_t>(text.size())));
  const Decoded a = go_on(fresh, 20), b = go_on(*other, 20);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_TRUE(same_bytes(a.logits, b.logits));
  // A fork outlives what it was forked from.
  session = Session();
  *other = Session();
  ASSERT_TRUE(fork->rewind(60));
  expect_rest(*fork, "the fork alone");
}

TEST_P(Continue, AfterSaveAndLoad) {
  for (const std::int64_t made : {1, 14, 15, 40}) {
    Session session = at(made);
    const auto bytes = save(session);
    expect_rest(session, "the saved one");
    Session other = make_session(model_, {"", {}});
    if (style_.json) set_style(other, {"", {}, true});
    ASSERT_TRUE(other.begin(random_tokens(5, 70, vocabulary_)));
    const Status loaded = other.load(io::Source::memory(bytes, "file"));
    ASSERT_TRUE(loaded) << show(loaded.error());
    EXPECT_EQ(save(other), bytes);
    if (made == 15) other.set_drafter(lookup(1));
    expect_rest(other, "the loaded one at " + std::to_string(made));
  }
}

TEST_P(Continue, AfterExtending) {
  // A conversation in three turns against one prompt that has it all.
  Session session = make_session(model_, style_);
  const auto turns = {random_tokens(1, 30, vocabulary_), random_tokens(2, 70, vocabulary_),
                      random_tokens(4, 3, vocabulary_)};
  for (const bool speculative : {false, true}) {
    if (speculative) session.set_drafter(lookup(1));
    ASSERT_TRUE(session.rewind(0));
    std::vector<std::int32_t> text;
    for (const auto& turn : turns) {
      GenerateOptions generate;
      generate.max_tokens = 17;
      const std::int64_t before = session.stats().prompt_tokens;
      const auto stop = session.resume(turn, generate);
      ASSERT_TRUE(stop) << show(stop.error());
      EXPECT_EQ(session.stats().prompt_tokens - before, static_cast<std::int64_t>(turn.size()));
      text.insert(text.end(), turn.begin(), turn.end());
      ASSERT_EQ(session.text().size(), text.size() + 17);
      Session fresh = make_session(model_, style_);
      const Decoded expected = must_decode(fresh, text, 17);
      EXPECT_TRUE(
          std::equal(expected.tokens.begin(), expected.tokens.end(), session.text().end() - 17));
      text.insert(text.end(), expected.tokens.begin(), expected.tokens.end());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, Continue, ::testing::Values(0, 2, 4, 6));

TEST(SavedSession, OfAnotherModelOrDamagedChangesNothing) {
  const TinySpec spec = tiny_spec(Element::f32, 6), twin = tiny_spec(Element::f32, 7);
  const auto model = load_tiny(spec), other = load_tiny(twin);
  ASSERT_TRUE(model && other);
  EXPECT_EQ(model->fingerprint(), load_tiny(spec)->fingerprint());
  EXPECT_NE(model->fingerprint(), other->fingerprint());
  const Style style = styles()[4];
  Session session = make_session(model, style), target = make_session(model, {"", {}});
  const auto prompt = random_tokens(3, 20, spec.vocabulary);
  ASSERT_TRUE(session.begin(prompt));
  ASSERT_TRUE(session.round(1));
  std::vector<std::byte> bytes, before, after;
  auto sink = io::Sink::memory(bytes);
  ASSERT_TRUE(session.save(sink));
  ASSERT_TRUE(target.begin(std::span(prompt).first(9)));
  sink = io::Sink::memory(before);
  ASSERT_TRUE(target.save(sink));
  Session foreign = make_session(other, style);
  EXPECT_TRUE(fails_with(foreign.load(io::Source::memory(bytes, "file")), Code::unsupported,
                         {"file", "fingerprint"}));
  EXPECT_TRUE(foreign.text().empty());
  const auto refused = [&](std::span<const std::byte> file, std::size_t at) {
    const Status loaded = target.load(io::Source::memory(file, "file"));
    ASSERT_FALSE(loaded) << at;
    ASSERT_EQ(std::string(loaded.error().place), "file") << at;
  };
  for (std::size_t size = 0; size < bytes.size(); size += size < 400 ? 1 : 1499)
    refused(std::span(bytes).first(size), size);
  for (std::size_t i = 0; i < bytes.size(); i += i < 400 ? 1 : 1499) {
    bytes[i] ^= std::byte{0x20};
    refused(bytes, i);
    bytes[i] ^= std::byte{0x20};
  }
  sink = io::Sink::memory(after);
  ASSERT_TRUE(target.save(sink));
  EXPECT_EQ(after, before);
  const Decoded left = go_on(session, 10);
  ASSERT_TRUE(target.load(io::Source::memory(bytes, "file")));
  EXPECT_EQ(go_on(target, 10).tokens, left.tokens);
}

}  // namespace
}  // namespace kedge::tests
