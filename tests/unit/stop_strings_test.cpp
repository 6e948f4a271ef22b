#include "kedge/text/stop_strings.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <random>

#include "golden/tokenizer_golden.hpp"
#include "kedge/text/utf8.hpp"
#include "unit/allocations.hpp"

namespace {

using namespace kedge;
using namespace kedge::text;
using namespace kedge_test;

StopStrings make(const std::vector<std::string_view>& stops, bool skip_special = true) {
  auto made = StopStrings::create(small_tokenizer(), stops, {.skip_special = skip_special});
  if (!made) ADD_FAILURE() << made.error().reason;
  return *std::move(made);
}

// As it is defined: the first end of any stop, and of those that end there the longest.
struct Found {
  std::size_t keep, end;
  int stop = -1;
};
Found search(const std::vector<std::string>& stops, std::string_view text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    Found found{0, end};
    std::size_t length = 0;
    for (std::size_t i = 0; i < stops.size(); ++i) {
      if (stops[i].size() > length && text.substr(0, end).ends_with(stops[i])) {
        length = stops[i].size();
        found.keep = end - length;
        found.stop = static_cast<int>(i);
      }
    }
    if (found.stop >= 0) return found;
  }
  return {text.size(), text.size()};
}
// How many of the last bytes begin a stop.
std::size_t may_become(const std::vector<std::string>& stops, std::string_view text) {
  std::size_t most = 0;
  for (const std::string& stop : stops)
    for (std::size_t n = most + 1; n < stop.size() && n <= text.size(); ++n)
      if (text.ends_with(std::string_view(stop).substr(0, n))) most = n;
  return most;
}

TEST(StopStrings, FindsWhatTheDefinitionFinds) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Tokenizer tokenizer = small_tokenizer();
  const auto letters = [&](std::size_t n) {
    std::string text;  // few letters, so that beginnings overlap; a character of two bytes
    while (text.size() < n)
      text += random() % 8 == 0 ? "\xC3\xA9" : std::string(1, "ab\n"[random() % 3]);
    return text;
  };
  std::size_t stopped_inside = 0, held_back = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<std::string> stops;
    for (std::size_t n = random() % 4; n > 0; --n) stops.push_back(letters(1 + random() % 6));
    const std::vector<std::string_view> views(stops.begin(), stops.end());
    auto made = StopStrings::create(tokenizer, views);
    ASSERT_TRUE(made);
    auto stream = TextStream::create(*made);
    ASSERT_TRUE(stream);
    const std::string text = letters(random() % 40);
    const auto ids = tokenizer.encode(text);
    ASSERT_TRUE(ids);
    const Found expected = search(stops, text);
    StopStrings::State state;
    std::string pushed, out;
    std::int64_t count = 0;
    for (const std::int32_t id : *ids) {
      pushed += tokenizer.token_bytes(id);
      ++count;
      const bool stop = made->push(state, id);
      out += stream->push(id);
      ASSERT_EQ(stop, stream->stopped());
      ASSERT_EQ(stop, expected.stop >= 0 && expected.end <= pushed.size());
      ASSERT_EQ(state.tokens, count);
      if (stop) {
        stopped_inside += expected.end < pushed.size();
        break;
      }
      const std::size_t certain = pushed.size() - may_become(stops, pushed);
      ASSERT_EQ(state.keep, certain);
      ASSERT_EQ(out, pushed.substr(0, utf8_complete_prefix(pushed.substr(0, certain))));
      ASSERT_EQ(stream->held(), pushed.size() - out.size());
      held_back += stream->held();
    }
    ASSERT_EQ(state.stop, expected.stop);
    if (state.stopped()) {
      const StopStrings::State then = state;
      ASSERT_TRUE(made->push(state, 30));
      ASSERT_EQ(state.bytes, then.bytes);
      ASSERT_EQ(state.tokens, then.tokens);
      ASSERT_EQ(stream->push(30), "");
    }
    made->finish(state);
    ASSERT_EQ(state.keep, expected.keep);
    out += stream->finish();
    ASSERT_EQ(out, text.substr(0, expected.keep));
    ASSERT_FALSE(stream->stopped());
  }
  EXPECT_GT(stopped_inside, 0u);
  EXPECT_GT(held_back, 0u);
}

TEST(StopStrings, OneMayCrossTokensAndRoundsAndEndInsideABlock) {
  const Tokenizer tokenizer = small_tokenizer();
  const auto ids = tokenizer.encode("the crew hauls the ship");
  ASSERT_TRUE(ids);
  const StopStrings stops = make({"w hauls t"});
  StopTracker tracker(stops);
  const StopMatcher matcher = tracker.matcher();
  ASSERT_TRUE(matcher);
  std::size_t used = 0;
  while (used < ids->size()) {  // blocks of two tokens; each is tried once and undone
    bool stop = false;
    for (int attempt = 0; attempt < 2; ++attempt) {
      const StopStrings::State before = tracker.state();
      matcher.mark(matcher.context);
      std::size_t n = 0;
      while (n < 2 && used + n < ids->size() && !stop)
        stop = matcher.push(matcher.context, (*ids)[used + n++]);
      if (attempt == 0) {
        matcher.undo(matcher.context);
        EXPECT_EQ(tracker.state().bytes, before.bytes);
        EXPECT_EQ(tracker.state().node, before.node);
        EXPECT_EQ(tracker.state().tokens, before.tokens);
        EXPECT_FALSE(tracker.state().stopped());
        stop = false;
      } else {
        used += n;
      }
    }
    if (stop) break;
  }
  ASSERT_TRUE(tracker.state().stopped());
  EXPECT_EQ(tracker.state().keep, std::string("the cre").size());
  EXPECT_EQ(tracker.state().tokens, static_cast<std::int64_t>(used));
  std::string text;
  for (std::size_t i = 0; i < used; ++i) text += tokenizer.token_bytes((*ids)[i]);
  EXPECT_NE(text.find("w hauls t"), std::string::npos);
  text.resize(text.size() - tokenizer.token_bytes((*ids)[used - 1]).size());
  EXPECT_EQ(text.find("w hauls t"), std::string::npos) << "an earlier token completed it";
  EXPECT_LT(used, ids->size());
  tracker.reset();
  EXPECT_FALSE(tracker.state().stopped());
}

TEST(StopStrings, SpecialTokensAreNotTextUnlessAsked) {
  const std::vector<std::string_view> stop = {"<|im_end|>"};
  StopStrings::State state;
  EXPECT_FALSE(make(stop).push(state, 2));
  EXPECT_EQ(state.bytes, 0u);
  EXPECT_EQ(state.tokens, 1);
  state = {};
  EXPECT_TRUE(make(stop, false).push(state, 2));
  EXPECT_EQ(state.keep, 0u);
  // An id that is no token adds nothing.
  state = {};
  EXPECT_FALSE(make(stop).push(state, -3));
  EXPECT_EQ(state.bytes, 0u);
}

TEST(StopStrings, AmongSeveralTheFirstThatIsCompleteCounts) {
  const auto run = [](const std::vector<std::string_view>& stops, std::string_view text) {
    StopStrings::State state;
    const StopStrings matcher = make(stops);
    matcher.push(state, text);
    return std::pair(state.stop, state.keep);
  };
  EXPECT_EQ(run({"abcd", "bc"}, "xabcd"), std::pair(1, std::uint64_t{2}));      // ends first
  EXPECT_EQ(run({"c", "bc", "abc"}, "xabcd"), std::pair(2, std::uint64_t{1}));  // begins first
  EXPECT_EQ(run({"bc", "bc"}, "abc"), std::pair(0, std::uint64_t{1}));
  EXPECT_EQ(run({"ab", "abc"}, "abc"), std::pair(0, std::uint64_t{0}));
  EXPECT_EQ(run({}, "abc"), std::pair(-1, std::uint64_t{3}));
  EXPECT_EQ(run({"\xFF\x80"}, "a\xFF\x80"), std::pair(0, std::uint64_t{1}));
}

TEST(StopStrings, RefusesAnEmptyStop) {
  const std::vector<std::string_view> stops = {"a", ""};
  const auto made = StopStrings::create(small_tokenizer(), stops);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::invalid_argument);
  EXPECT_STREQ(made.error().reason, "stop 1 is empty");
}

TEST(StopStrings, AllocatesNothingAndTakesLinearTime) {
  const Tokenizer tokenizer = small_tokenizer();
  const std::string long_stop = std::string(100000, 'a') + "b";
  const std::vector<std::string_view> stops = {long_stop, "the end"};
  const auto made = StopStrings::create(tokenizer, stops);
  ASSERT_TRUE(made);
  auto stream = TextStream::create(*made);
  ASSERT_TRUE(stream);
  StopTracker tracker(*made);
  const StopMatcher matcher = tracker.matcher();
  const auto a = tokenizer.encode("a");
  ASSERT_TRUE(a);
  std::size_t bytes = 0;
  const std::size_t before = allocations;
  for (int i = 0; i < 300000; ++i) {
    if (i % 64 == 0) matcher.mark(matcher.context);
    ASSERT_FALSE(matcher.push(matcher.context, (*a)[0]));
  }
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) bytes += stream->push(id).size();
  bytes += stream->finish().size();
  EXPECT_EQ(allocations, before);
  EXPECT_GT(bytes, 0u);
  EXPECT_EQ(tracker.state().keep, 200000u);
}

}  // namespace
