// map-k, map-k4v and mod against their definitions, and the defects that such drafters are known
// for elsewhere.
#include <gtest/gtest.h>

#include <map>

#include "kedge/draft/map_k.hpp"
#include "kedge/draft/map_k4v.hpp"
#include "kedge/draft/mod.hpp"
#include "unit/ngram_support.hpp"

namespace kedge::tests {
namespace {

using draft::MapK;
using draft::MapK4v;
using draft::Mod;

template <class D>
D make(const typename D::Options& options) {
  auto made = D::create(options);
  EXPECT_TRUE(made);
  return *std::move(made);
}
template <class D>
auto maker(const typename D::Options& options) {
  return [options] { return make<D>(options); };
}

// Where the last `key` tokens occurred before, newest first.
std::vector<std::size_t> occurrences(const Tokens& text, std::size_t key) {
  std::vector<std::size_t> ends;
  for (std::size_t end = text.size() - 1; end-- > 0 && end + 1 >= key;)
    if (std::equal(text.end() - static_cast<std::ptrdiff_t>(key), text.end(),
                   text.begin() + static_cast<std::ptrdiff_t>(end + 1 - key)))
      ends.push_back(end);
  return ends;
}

// What followed `end`, running into itself at the end of the text.
Tokens continuation(const Tokens& text, std::size_t end, std::size_t length) {
  Tokens all = text;
  for (std::size_t i = 0; i < length; ++i) all.push_back(all[end + 1 + i]);
  return Tokens(all.end() - static_cast<std::ptrdiff_t>(length), all.end());
}

Tokens map_k(const Tokens& text, std::size_t key, std::size_t length) {
  if (text.size() <= key) return {};
  const auto ends = occurrences(text, key);
  return ends.empty() ? Tokens() : continuation(text, ends.front(), length);
}

// Newest first, so that the first of several equally frequent ones is the newest.
Tokens map_k4v(const Tokens& text, std::size_t key, std::size_t length, std::int64_t hits,
               std::size_t most_hits) {
  if (text.size() <= key) return {};
  std::vector<std::pair<Tokens, std::int64_t>> values;
  std::int64_t seen = 0;
  for (const std::size_t end : occurrences(text, key)) {
    if (static_cast<std::size_t>(seen) == most_hits) break;
    ++seen;
    const Tokens value = continuation(text, end, length);
    const auto known =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == value; });
    if (known != values.end()) ++known->second;
    else if (values.size() < 4) values.push_back({value, 1});
  }
  if (values.empty() || seen < hits) return {};
  const auto best =
      std::max_element(values.begin(), values.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  Tokens out;
  for (std::size_t i = 0; i < length; ++i) {
    std::int64_t agreeing = 0;
    for (const auto& [value, count] : values)
      if (first(value, i + 1) == first(best->first, i + 1)) agreeing += count;
    if (agreeing < 2 * (seen - agreeing)) break;
    out.push_back(best->first[i]);
  }
  return out;
}

// The newest occurrence in the text, or the one followed so far where that is newer.
Tokens mod(const Tokens& text, std::size_t key, std::size_t length) {
  Tokens all = text;
  std::int64_t at = -2;
  for (std::size_t i = 0; i < length && all.size() >= key; ++i) {
    std::int64_t newest = -1;
    for (std::size_t end = std::min(all.size() - 1, text.size()); end-- > 0 && end + 1 >= key;)
      if (std::equal(all.end() - static_cast<std::ptrdiff_t>(key), all.end(),
                     all.begin() + static_cast<std::ptrdiff_t>(end + 1 - key))) {
        newest = static_cast<std::int64_t>(end);
        break;
      }
    at = std::max(at + 1, newest);
    if (at < 0) break;
    all.push_back(all[static_cast<std::size_t>(at + 1)]);
  }
  return Tokens(all.begin() + static_cast<std::ptrdiff_t>(text.size()), all.end());
}

TEST(NgramDrafters, EqualTheirDefinitions) {
  std::int64_t found[3] = {}, none[3] = {};
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 rng(seed);
    const Tokens text = random_text(rng, rng() % 70, 1 + rng() % 4);
    const std::size_t key = 1 + rng() % 5, length = 1 + rng() % 20;
    const std::size_t hits = 1 + rng() % 3, most_hits = hits + rng() % 9;
    const auto k = static_cast<std::int32_t>(key);
    const auto n = static_cast<std::int64_t>(length);
    auto a = make<MapK>({.length = n, .key = k, .capacity = 80});
    auto b = make<MapK4v>({.length = n,
                           .key = k,
                           .hits = static_cast<std::int64_t>(hits),
                           .most_hits = static_cast<std::int64_t>(most_hits),
                           .capacity = 80});
    auto c = make<Mod>({.length = n, .key = k, .capacity = 80});
    ASSERT_TRUE(a.begin(text) && b.begin(text) && c.begin(text));
    const Tokens expected[] = {
        map_k(text, key, length),
        map_k4v(text, key, length, static_cast<std::int64_t>(hits), most_hits),
        mod(text, key, length)};
    for (int again = 0; again < 2; ++again) {  // asking changes nothing
      EXPECT_EQ(guesses(a), expected[0]) << "seed " << seed;
      EXPECT_EQ(guesses(b), expected[1]) << "seed " << seed;
      EXPECT_EQ(guesses(c), expected[2]) << "seed " << seed;
    }
    for (int i = 0; i < 3; ++i) ++(expected[i].empty() ? none : found)[i];
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_GT(found[i], 700) << i;
    EXPECT_GT(none[i], 100) << i;
  }
}

TEST(NgramDrafters, GuessesDependOnTheTextAlone) {
  expect_guesses_depend_on_the_text_alone(maker<MapK>({.key = 3, .capacity = 130}), 3);
  expect_guesses_depend_on_the_text_alone(maker<MapK4v>({.key = 2, .capacity = 130}), 3);
  expect_guesses_depend_on_the_text_alone(maker<Mod>({.key = 3, .capacity = 130}), 3);
}

// ngram-simple finds no period below its key's length; here every period is continued.
TEST(NgramDrafters, EveryPeriodIsContinued) {
  expect_periods_are_continued(maker<MapK>({.length = 31, .key = 8}), 8);
  expect_periods_are_continued(maker<MapK4v>({.length = 31, .key = 8}), 8);
  expect_periods_are_continued(maker<Mod>({.length = 31, .key = 8}), 8);
}

TEST(NgramDrafters, AFullHistoryIsAValue) {
  expect_overflow_is_a_value(make<MapK>({.key = 4, .capacity = 50}), 50);
  expect_overflow_is_a_value(make<MapK4v>({.key = 4, .capacity = 50}), 50);
  expect_overflow_is_a_value(make<Mod>({.key = 4, .capacity = 50}), 50);
}

TEST(NgramDrafters, ImpossibleOptionsAreErrors) {
  EXPECT_FALSE(MapK::create({.length = 0}));
  EXPECT_FALSE(MapK::create({.key = 0}));
  EXPECT_FALSE(MapK4v::create({.hits = 0}));
  EXPECT_FALSE(MapK4v::create({.hits = 5, .most_hits = 4}));
  EXPECT_FALSE(Mod::create({.key = -1}));
  EXPECT_FALSE(Mod::create({.capacity = 0}));
}

// A hash that keeps the first position it was given never sees the newer one.
TEST(NgramDrafters, TheNewestOccurrenceCounts) {
  auto map = make<MapK>({.length = 2, .key = 2});
  ASSERT_TRUE(map.begin(Tokens{1, 2, 30, 31, 1, 2, 40, 41, 1, 2}));
  EXPECT_EQ(guesses(map), (Tokens{40, 41}));
}

// The most frequent continuation is proposed also where the newest occurrence had another.
TEST(NgramDrafters, TheDominantContinuationIsWhatIsCopied) {
  auto map = make<MapK4v>({.length = 2, .key = 2});
  ASSERT_TRUE(map.begin(Tokens{1, 2, 30, 31, 1, 2, 30, 31, 1, 2, 30, 31, 1, 2, 40, 41, 1, 2}));
  EXPECT_EQ(guesses(map), (Tokens{30, 31}));
}

// An occurrence that is counted again at every question would come to dominate.
TEST(NgramDrafters, AskingIsNoOccurrence) {
  auto map = make<MapK4v>({.length = 2, .key = 2});
  ASSERT_TRUE(map.begin(Tokens{1, 2, 30, 31, 1, 2, 40, 41, 1, 2}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(guesses(map), Tokens()) << "one against one";
}

// What they agree on is proposed even if they differ later.
TEST(NgramDrafters, ContinuationsAreFollowedAsFarAsTheyAgree) {
  auto map = make<MapK4v>({.length = 3, .key = 2});
  ASSERT_TRUE(map.begin(Tokens{1, 2, 5, 6, 7, 1, 2, 5, 6, 8, 1, 2, 5, 6, 9, 1, 2}));
  const Proposed p = propose(map, {.count = 8});
  EXPECT_EQ(p.tokens, (Tokens{5, 6}));
}

// Guesses that were rejected shorten the next draft; ones that hold lengthen it again.
template <class D>
void expect_recovery(D drafter, std::size_t least) {
  // "1 2 3 4" again and again, but now something else follows; then the old rule holds again.
  Tokens text;
  const auto say = [&](const Tokens& more) {
    ASSERT_TRUE(drafter.append(more));
    text.insert(text.end(), more.begin(), more.end());
  };
  const Tokens phrase = {1, 2, 3, 4, 21, 22, 23, 24, 25, 26, 27, 28};
  ASSERT_TRUE(drafter.begin({}));
  for (int i = 0; i < 2; ++i) say(phrase);
  say({1, 2, 3, 4});
  EXPECT_EQ(guesses(drafter, 8).size(), 8u);
  // Misses: as if the target had always said 99.
  std::size_t shortest = 8;
  std::int32_t other = 100;
  for (int i = 0; i < 6; ++i) {
    say({++other});
    drafter.feedback({8, 1, 0});
    say(phrase);
    say({1, 2, 3, 4});
    shortest = std::min(shortest, guesses(drafter, 8).size());
  }
  EXPECT_LE(shortest, 2u) << "misses shorten";
  EXPECT_GE(shortest, least) << "but never to nothing";
  std::size_t length = 0;
  for (int i = 0; i < 20; ++i) {
    const Tokens draft = guesses(drafter, 8);
    length = std::max(length, draft.size());
    ASSERT_GE(draft.size(), least);
    say({phrase.begin() + 4, phrase.end()});
    drafter.feedback(
        {8, static_cast<std::int64_t>(draft.size()), static_cast<std::int64_t>(draft.size())});
    say({1, 2, 3, 4});
  }
  EXPECT_EQ(length, 8u) << "what holds lengthens to where it was";
}
TEST(NgramDrafters, AKeyRecoversFromMisses) {
  expect_recovery(make<MapK>({.length = 8, .key = 4}), 1);
  // Where the text itself speaks against a continuation it is not proposed, until it dominates
  // again.
  expect_recovery(make<MapK4v>({.length = 8, .key = 4}), 0);
}

// A budget that cuts a draft to one guess, which holds, says nothing against the others.
TEST(NgramDrafters, TruncationIsNoRejection) {
  const auto check = [](auto drafter) {
    ASSERT_TRUE(drafter.begin(periodic(20, 60)));
    Proposed before = propose(drafter, {.count = 8});
    EXPECT_EQ(before.tokens.size(), 8u);
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(drafter.append(first(before.tokens, 1)));
      drafter.feedback({1, 1, 1});
      const Proposed after = propose(drafter, {.count = 8});
      ASSERT_EQ(after.tokens.size(), 8u);
      EXPECT_GE(after.confidences[0], before.confidences[0] - 1e-6f);
      before = after;
    }
  };
  check(make<MapK>({.length = 8, .key = 4}));
  check(make<MapK4v>({.length = 8, .key = 4}));
  check(make<Mod>({.length = 8, .key = 4}));
}

// No shortest draft: a short phrase between new words is found. (ngram-mod's n_min is 48.)
TEST(NgramDrafters, ShortRepeatsGiveShortDrafts) {
  auto drafter = make<Mod>({.length = 31, .key = 3});
  ASSERT_TRUE(drafter.begin(Tokens{1, 2, 3, 4, 5, 9, 8, 7, 1, 2, 3}));
  EXPECT_EQ(first(guesses(drafter), 2), (Tokens{4, 5}));
}

// mod goes over to a newer occurrence as soon as there is one; a copy stays where it began.
TEST(NgramDrafters, ModFollowsTheNewestAtEveryGuess) {
  const Tokens text = {7, 1, 2, 3, 4, 8, 2, 3, 5, 6, 7, 1, 2};
  auto chained = make<Mod>({.length = 4, .key = 2});
  auto copied = make<MapK>({.length = 4, .key = 2});
  ASSERT_TRUE(chained.begin(text) && copied.begin(text));
  EXPECT_EQ(guesses(copied), (Tokens{3, 4, 8, 2}));
  EXPECT_EQ(guesses(chained), (Tokens{3, 5, 6, 7}));
}

TEST(NgramDrafters, ConfidenceFollowsWhatHappensAndComesBack) {
  auto drafter = make<MapK>({.length = 1, .key = 2, .learns = false});
  ASSERT_TRUE(drafter.begin(Tokens{1, 2, 50, 1, 2}));
  const float fresh = propose(drafter, {.count = 1}).confidences[0];
  for (std::int32_t i = 0; i < 20; ++i) {  // every guess fails
    EXPECT_EQ(guesses(drafter, 1).size(), 1u);
    ASSERT_TRUE(drafter.append(Tokens{500 + i}));
    drafter.feedback({1, 1, 0});
    ASSERT_TRUE(drafter.append(Tokens{1, 2}));
  }
  const Proposed doubted = propose(drafter, {.count = 1});
  ASSERT_EQ(doubted.tokens.size(), 1u);
  EXPECT_LT(doubted.confidences[0], 0.8f * fresh);
  EXPECT_TRUE(propose(drafter, {.count = 1, .least_confidence = fresh}).tokens.empty());
  for (int i = 0; i < 2000; ++i) propose(drafter, {.count = 1, .least_confidence = fresh});
  EXPECT_NEAR(propose(drafter, {.count = 1}).confidences[0], fresh, 0.01f)
      << "one that is not heard any more gets another chance";
  ASSERT_TRUE(drafter.begin(Tokens{1, 2, 50, 1, 2}));
  EXPECT_EQ(propose(drafter, {.count = 1}).confidences[0], fresh) << "begin() forgets";
}

}  // namespace
}  // namespace kedge::tests
