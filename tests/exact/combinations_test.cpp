// Everything at once: every format and architecture, with every cache, on every executor, greedy
// and drawn, free and under rules, speculative, gone back, forked, saved and loaded. What follows
// has the bytes of plain decoding by the calling thread.
#include <gtest/gtest.h>

#include "exact/errors.hpp"
#include "exact/sampled.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "support/all_executors.hpp"

namespace kedge::tests {
namespace {

class Combinations : public ::testing::TestWithParam<TinyKind> {
 protected:
  static constexpr std::int64_t count = 40, prompt_length = 60;  // the text reaches a second page

  void SetUp() override {
    model_ = load_tiny(tiny_spec(GetParam(), 6));
    ASSERT_NE(model_, nullptr);
    vocabulary_ = model_->config().vocabulary;
    prompt_ = random_tokens(11, prompt_length, vocabulary_);
  }

  void expect_rest(Session& session, const Decoded& expected, const std::string& what) {
    const std::size_t made = session.text().size() - prompt_length;
    const Decoded found = go_on(session, count - static_cast<std::int64_t>(made));
    EXPECT_TRUE(std::equal(found.tokens.begin(), found.tokens.end(),
                           expected.tokens.begin() + static_cast<std::ptrdiff_t>(made)))
        << what;
    EXPECT_EQ(found.tokens.size() + made, expected.tokens.size()) << what;
    EXPECT_TRUE(same_bytes(expected.logits, found.logits)) << what;
    ++compared_;
  }

  void every_way(const Style& style, const Session::Options& options, const std::string& where) {
    Session::Options alone = options;
    alone.executor = nullptr;
    Session plain = make_session(model_, style, alone);
    const Decoded expected = must_decode(plain, prompt_, count);
    ASSERT_EQ(static_cast<std::int64_t>(expected.tokens.size()), count) << where;

    Session session = make_session(model_, style, options);
    const auto drafter = [&] {
      return script(expected.tokens, {{7, 7}, {4, 1}, {5, 0}, {0, 0}, {8, 6}}, vocabulary_);
    };
    session.set_drafter(drafter());
    const Decoded found = must_decode(session, prompt_, count);
    EXPECT_EQ(found.tokens, expected.tokens) << where;
    EXPECT_TRUE(same_bytes(expected.logits, found.logits)) << where << ", speculative";
    EXPECT_GT(found.stats.accepted, 0) << where;
    session.set_drafter({});

    ASSERT_TRUE(session.rewind(prompt_length + 9)) << where;
    auto fork = session.fork();
    ASSERT_TRUE(fork) << show(fork.error());
    std::vector<std::byte> bytes;
    auto sink = io::Sink::memory(bytes);
    ASSERT_TRUE(session.save(sink)) << where;
    expect_rest(session, expected, where + ", gone back");
    expect_rest(*fork, expected, where + ", forked");
    *fork = Session();
    ASSERT_TRUE(session.rewind(0));
    const Status loaded = session.load(io::Source::memory(bytes, "saved"));
    ASSERT_TRUE(loaded) << show(loaded.error());
    expect_rest(session, expected, where + ", saved and loaded");
  }

  void TearDown() override {
    RecordProperty("compared", std::to_string(compared_));
    EXPECT_GT(compared_, 0);
  }

  std::shared_ptr<const Model> model_;
  std::int64_t vocabulary_ = 0;
  std::vector<std::int32_t> prompt_;
  std::int64_t compared_ = 0;
};

std::vector<Style> four_styles() {
  const auto all = styles();
  return {all[0], all[2], all[5], all[6]};  // greedy and drawn, free and under rules
}

TEST_P(Combinations, EveryStyle) {
  for (const Style& style : four_styles()) {
    Session::Options options;
    options.sequences = 2;
    every_way(style, options, style.name);
  }
}

TEST_P(Combinations, SlowEveryStyleInEveryCacheOnEveryExecutor) {
  int combination = 0;
  for (const NamedExecutor& e : all_executors())
    for (const Element cache : {Element::f16, Element::f32, Element::bf16, Element::q8_0})
      for (const Style& style : four_styles()) {
        if (!op::expect_cache_element("cache", cache, model_->config().head_dim)) continue;
        // A ninth of them each: three workers on two processors take turns at every barrier.
        const int n = combination++;
        if (!takes_combination(GetParam(), n) || !takes_combination(GetParam(), n / 3)) continue;
        Session::Options options;
        options.sequences = 2;
        options.cache = cache;
        options.executor = e.executor.get();
        every_way(style, options,
                  std::string(style.name) + ", " + to_string(cache) + ", " + e.name);
      }
}

INSTANTIATE_TEST_SUITE_P(Formats, Combinations, ::testing::ValuesIn(tiny_formats()), ElementName());
INSTANTIATE_TEST_SUITE_P(Architectures, Combinations, ::testing::ValuesIn(tiny_architectures),
                         ElementName());

}  // namespace
}  // namespace kedge::tests
