// The cache drafter, its counts, and their files.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "kedge/core/hash.hpp"
#include "kedge/draft/cache.hpp"
#include "unit/ngram_support.hpp"

namespace kedge::tests {
namespace {

using draft::Cache;
using draft::NgramCounts;
using Map = std::map<Tokens, std::map<std::int32_t, std::uint32_t>>;

Map counted(const Tokens& text, std::size_t shortest = 1, std::size_t longest = 4) {
  Map map;
  for (std::size_t i = 1; i < text.size(); ++i)
    for (std::size_t n = shortest; n <= std::min(longest, i); ++n)
      ++map[Tokens(text.begin() + std::ptrdiff_t(i - n), text.begin() + std::ptrdiff_t(i))]
           [text[i]];
  return map;
}

void expect_equal(const NgramCounts& counts, const Map& expected) {
  ASSERT_EQ(counts.ngrams(), expected.size());
  std::size_t followers = 0;
  for (const auto& [ngram, after] : expected) {
    std::map<std::int32_t, std::uint32_t> found;
    std::uint32_t total = 0;
    counts.visit(ngram, [&](std::int32_t token, std::uint32_t count) { found[token] += count; });
    ASSERT_EQ(found, after);
    for (const auto& [token, count] : after) {
      EXPECT_EQ(counts.count(ngram, token), count);
      total += count;
    }
    EXPECT_EQ(counts.total(ngram), total);
    followers += after.size();
  }
  EXPECT_EQ(counts.followers(), followers);
}

NgramCounts table(const NgramCounts::Options& options) {
  auto made = NgramCounts::create(options);
  EXPECT_TRUE(made);
  return *std::move(made);
}

TEST(NgramCounts, LearnAndUnlearn) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 rng(seed);
    NgramCounts counts = table(NgramCounts::for_text(80));
    Tokens text;
    for (int step = 0; step < 20; ++step) {
      if (rng() % 3 == 0) {
        const std::size_t kept = rng() % (text.size() + 1);
        counts.unlearn(text, static_cast<std::int64_t>(kept), 1, 4);
        text.resize(kept);
      } else {
        const auto from = static_cast<std::int64_t>(text.size());
        const Tokens more =
            random_text(rng, std::min(std::size_t(rng() % 20), 80 - text.size()), 1 + rng() % 4);
        text.insert(text.end(), more.begin(), more.end());
        ASSERT_TRUE(counts.learn(text, from, 1, 4));
      }
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << step);
      expect_equal(counts, counted(text));
    }
  }
}

TEST(NgramCounts, TheOrderOfTokensMatters) {
  NgramCounts counts = table({.ngrams = 8, .followers = 8});
  ASSERT_TRUE(counts.add(Tokens{1, 2}, 5) && counts.add(Tokens{2, 1}, 6));
  ASSERT_TRUE(counts.add(Tokens{7, 7}, 8) && counts.add(Tokens{9, 9}, 3));
  EXPECT_EQ(counts.count(Tokens{1, 2}, 5), 1u);
  EXPECT_EQ(counts.count(Tokens{1, 2}, 6), 0u);
  EXPECT_EQ(counts.count(Tokens{7, 7}, 8), 1u);
  EXPECT_EQ(counts.count(Tokens{7}, 8), 0u) << "another length is another n-gram";
}

TEST(NgramCounts, AFullTableIsAValueAndSumsDoNotOverflow) {
  NgramCounts counts = table({.ngrams = 2, .followers = 3});
  ASSERT_TRUE(counts.add(Tokens{1}, 5) && counts.add(Tokens{1}, 6) && counts.add(Tokens{2}, 5));
  for (const Tokens& before : {Tokens{3}, Tokens{1}}) {
    const Status status = counts.add(before, 9);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::out_of_memory);
  }
  ASSERT_TRUE(counts.add(Tokens{1}, 5, NgramCounts::most));
  ASSERT_TRUE(counts.add(Tokens{1}, 9, 1)) << "nothing more fits, which is no error";
  EXPECT_EQ(counts.total(Tokens{1}), NgramCounts::most);
  EXPECT_EQ(counts.count(Tokens{1}, 6), 1u);
  EXPECT_FALSE(counts.add(Tokens{}, 1));
  EXPECT_FALSE(counts.add(Tokens{1, 2, 3, 4, 5}, 1));
  EXPECT_FALSE(counts.add(Tokens{1, -1}, 1));
  EXPECT_FALSE(NgramCounts::create({.ngrams = -1}));
  EXPECT_EQ(NgramCounts().total(Tokens{1}), 0u) << "an empty one knows nothing";
}

std::vector<std::byte> saved(const NgramCounts& counts) {
  std::vector<std::byte> bytes;
  io::Sink sink = io::Sink::memory(bytes);
  EXPECT_TRUE(counts.save(sink));
  return bytes;
}
Result<NgramCounts> loaded(const std::vector<std::byte>& bytes,
                           const NgramCounts::LoadOptions& options = {}) {
  return NgramCounts::load(io::Source::memory(bytes), options);
}

TEST(NgramCountsFile, ComesBackAndGrows) {
  std::mt19937_64 rng(3);
  const Tokens text = random_text(rng, 500, 9), more = random_text(rng, 100, 9);
  NgramCounts counts = table(NgramCounts::for_text(1000));
  ASSERT_TRUE(counts.learn(text, 0, 1, 4));
  const auto bytes = saved(counts);
  auto back = loaded(bytes, {.vocabulary = 9, .spare = 400});
  ASSERT_TRUE(back) << back.error().reason;
  expect_equal(*back, counted(text));
  // Taking in another table is counting both texts.
  NgramCounts other = table(NgramCounts::for_text(100));
  ASSERT_TRUE(other.learn(more, 0, 1, 4));
  ASSERT_TRUE(back->take_in(other));
  Map both = counted(text);
  for (const auto& [ngram, after] : counted(more))
    for (const auto& [token, count] : after) both[ngram][token] += count;
  expect_equal(*back, both);
  auto empty = loaded(saved(NgramCounts()));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->ngrams(), 0u);
}

// The digest of a file that was changed by hand is made right again, so that the fields themselves
// are what is looked at.
std::vector<std::byte> signed_again(std::vector<std::byte> bytes) {
  const std::uint64_t digest = Hash::of({bytes.data(), bytes.size() - 8});
  std::memcpy(bytes.data() + bytes.size() - 8, &digest, 8);
  return bytes;
}

TEST(NgramCountsFile, EveryFieldIsChecked) {
  NgramCounts counts = table({.ngrams = 3, .followers = 4});
  ASSERT_TRUE(counts.add(Tokens{1, 2}, 5, 3) && counts.add(Tokens{1, 2}, 6, 1) &&
              counts.add(Tokens{3}, 7, 2));
  const auto good = saved(counts);
  ASSERT_EQ(good.size(), 32u + 2 * 20 + 3 * 8 + 8);
  const auto fails = [&](std::size_t at, auto value, const char* expected) {
    auto bytes = good;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    const auto result = loaded(signed_again(bytes), {.vocabulary = 10});
    ASSERT_FALSE(result) << expected;
    EXPECT_EQ(result.error().code, Code::malformed);
    EXPECT_NE(std::string(result.error().reason).find(expected), std::string::npos)
        << result.error().reason;
  };
  fails(0, 'K', "does not begin so");
  fails(8, std::uint32_t{2}, "version: expected 1, found 2");
  fails(12, std::uint32_t{1}, "reserved");
  fails(16, std::uint64_t{3}, "do not fill a file");
  fails(16, std::uint64_t{1} << 60, "do not fill a file");
  fails(24, ~std::uint64_t{0}, "do not fill a file");
  // The first n-gram, whichever of both it is: its tokens, followers, and the first of these.
  fails(32 + 12, std::int32_t{-5}, "expected tokens of 0..9, found -5");
  fails(32 + 12, std::int32_t{10}, "expected tokens of 0..9, found 10");
  fails(32, std::int32_t{-2}, "expected -1, found -2");
  fails(32 + 16, std::uint32_t{0}, "nothing follows it");
  fails(32 + 16, std::uint32_t{4}, "are more than the 3 that are left");
  fails(32 + 20, std::int32_t{-1}, "expected followers of 0..9, found -1");
  fails(32 + 24, std::uint32_t{0}, "expected counts of 1 or more");
  {
    auto bytes = good;
    bytes.back() ^= std::byte{1};
    const auto result = loaded(bytes);
    ASSERT_FALSE(result);
    EXPECT_NE(std::string(result.error().reason).find("digest"), std::string::npos);
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(loaded({good.begin(), good.begin() + std::ptrdiff_t(size)})) << size;
  auto longer = good;
  longer.push_back({});
  EXPECT_FALSE(loaded(longer));
  ASSERT_TRUE(loaded(good, {.vocabulary = 10}));
}

TEST(NgramCountsFile, NothingComesTwice) {
  const auto file = [](const std::vector<std::pair<Tokens, std::vector<std::uint32_t>>>& parts) {
    std::vector<std::byte> bytes;
    io::Sink sink = io::Sink::memory(bytes);
    const auto put = [&](auto value) {
      EXPECT_TRUE(sink.write(std::as_bytes(std::span(&value, 1))));
    };
    std::uint64_t followers = 0;
    for (const auto& [key, after] : parts) followers += after.size() / 2;
    for (const char c : std::string("kedgengr")) put(c);
    put(std::uint32_t{1}), put(std::uint32_t{0});
    put(static_cast<std::uint64_t>(parts.size())), put(followers);
    for (const auto& [key, after] : parts) {
      for (const std::int32_t token : key) put(token);
      put(static_cast<std::uint32_t>(after.size() / 2));
      for (const std::uint32_t value : after) put(value);
    }
    put(std::uint64_t{0});
    return signed_again(bytes);
  };
  EXPECT_TRUE(loaded(file({{{-1, -1, 1, 2}, {5, 1}}, {{-1, -1, 2, 1}, {5, 1}}})));
  EXPECT_FALSE(loaded(file({{{-1, -1, 1, 2}, {5, 1}}, {{-1, -1, 1, 2}, {6, 1}}})));
  EXPECT_FALSE(loaded(file({{{-1, -1, 1, 2}, {5, 1, 5, 1}}})));
  EXPECT_FALSE(loaded(file({{{-1, -1, -1, -1}, {5, 1}}})));
  EXPECT_FALSE(loaded(file({{{-1, 3, -1, 1}, {5, 1}}})));
  EXPECT_FALSE(loaded(file({{{-1, -1, 1, 2}, {5, ~0u, 6, 1}}}))) << "the sum overflows";
}

// By the definition, over the maps.
struct Oracle {
  Map context, dynamic, fixed;

  using After = std::map<std::int32_t, std::uint32_t>;
  static const After* find(const Map& map, const Tokens& all, std::size_t n) {
    if (all.size() < n) return nullptr;
    const auto found = map.find(Tokens(all.end() - std::ptrdiff_t(n), all.end()));
    return found == map.end() ? nullptr : &found->second;
  }
  std::int32_t best(const Map& map, const Tokens& all, const std::uint32_t (&least)[5],
                    const std::uint32_t (&percent)[5]) const {
    for (std::size_t n = 4; n >= 1; --n) {
      const After* after = find(map, all, n);
      if (after == nullptr) continue;
      const After* known = find(fixed, all, 2);
      std::uint32_t total = 0;
      std::int32_t token = -1;
      double most = 0;
      for (const auto& [t, count] : *after) {
        total += count;
        const double weight =
            known != nullptr && known->count(t) ? 100.0 * count * known->at(t) : count;
        if (weight > most) most = weight, token = t;
      }
      if (total >= least[n] && 100 * after->at(token) >= percent[n] * total) return token;
    }
    return -1;
  }
  Tokens draft(const Tokens& text, std::size_t length) const {
    Tokens all = text;
    for (std::size_t i = 0; i < length; ++i) {
      std::int32_t token = best(context, all, {0, 2, 2, 1, 1}, {0, 66, 50, 50, 50});
      if (token < 0) token = best(dynamic, all, {0, 4, 3, 2, 2}, {0, 75, 66, 66, 66});
      if (const After* after = find(fixed, all, 2); token < 0 && after != nullptr) {
        std::uint32_t total = 0, most = 0;
        std::int32_t t = -1;
        for (const auto& [id, count] : *after) {
          total += count;
          if (count > most) most = count, t = id;
        }
        if (total >= 2 && 100 * most >= 50 * total) token = t;
      }
      if (token < 0) break;
      all.push_back(token);
    }
    return Tokens(all.begin() + std::ptrdiff_t(text.size()), all.end());
  }
};

TEST(Cache, EqualsItsDefinition) {
  std::int64_t found = 0, from_files = 0;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    std::mt19937_64 rng(seed);
    const std::uint64_t alphabet = 2 + rng() % 6;
    const Tokens text = random_text(rng, rng() % 60, alphabet),
                 before = random_text(rng, rng() % 200, alphabet),
                 corpus = random_text(rng, rng() % 200, alphabet);
    NgramCounts dynamic = table(NgramCounts::for_text(200)),
                fixed = table(NgramCounts::for_text(200));
    ASSERT_TRUE(dynamic.learn(before, 0, 1, 4) && fixed.learn(corpus, 0, 2, 2));
    const bool files = seed % 3 != 0;
    Oracle oracle{counted(text), files ? counted(before) : Map{},
                  files ? counted(corpus, 2, 2) : Map{}};
    auto cache = Cache::create({.length = 8,
                                .capacity = 70,
                                .dynamic = files ? &dynamic : nullptr,
                                .fixed = files ? &fixed : nullptr});
    ASSERT_TRUE(cache);
    ASSERT_TRUE(cache->begin(text));
    const Tokens expected = oracle.draft(text, 8);
    EXPECT_EQ(guesses(*cache), expected) << "seed " << seed;
    EXPECT_EQ(guesses(*cache), expected) << "asked again, seed " << seed;
    found += expected.empty() ? 0 : 1;
    from_files += expected != Oracle{counted(text), {}, {}}.draft(text, 8) ? 1 : 0;
  }
  EXPECT_GT(found, 500);
  EXPECT_GT(from_files, 200);
}

auto maker(std::int64_t capacity) {
  return [capacity] { return *Cache::create({.length = 20, .capacity = capacity}); };
}

// What elsewhere is lost: n-grams over the border of two chunks, everything of a request that is
// shorter than the one before it.
TEST(Cache, GuessesDependOnTheTextAlone) { expect_guesses_depend_on_the_text_alone(maker(130), 4); }

TEST(Cache, TokensOneByOneAreCountedLikeAWholeText) {
  std::mt19937_64 rng(8);
  const Tokens text = random_text(rng, 200, 5);
  auto cache = *Cache::create({.capacity = 200});
  ASSERT_TRUE(cache.begin({}));
  for (const std::int32_t token : text) ASSERT_TRUE(cache.append(Tokens{token}));
  expect_equal(cache.context(), counted(text));
  ASSERT_TRUE(cache.begin(first(text, 20)));
  expect_equal(cache.context(), counted(first(text, 20)));
}

TEST(Cache, TextsOfNoToThreeTokens) {
  auto cache = *Cache::create({.capacity = 10});
  NgramCounts fixed = table({.ngrams = 1, .followers = 1});
  ASSERT_TRUE(fixed.add(Tokens{1, 2}, 3, 5));
  auto with = *Cache::create({.length = 1, .capacity = 10, .fixed = &fixed});
  for (const Tokens& text : {Tokens{}, Tokens{1}, Tokens{1, 1}, Tokens{1, 2}, Tokens{1, 2, 1}}) {
    ASSERT_TRUE(cache.begin(text) && with.begin(text));
    guesses(cache);
    EXPECT_EQ(guesses(with), (text == Tokens{1, 2} ? Tokens{3} : Tokens{}));
  }
}

TEST(Cache, PeriodsAreContinued) {
  expect_periods_are_continued([] { return *Cache::create({.length = 31, .capacity = 300}); }, 8);
}

TEST(Cache, AFullHistoryIsAValue) {
  expect_overflow_is_a_value(*Cache::create({.capacity = 50}), 50);
  EXPECT_FALSE(Cache::create({.length = 0}));
  EXPECT_FALSE(Cache::create({.capacity = 0}));
}

}  // namespace
}  // namespace kedge::tests
