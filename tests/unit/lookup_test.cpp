#include "kedge/draft/lookup.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace {

using namespace kedge;
using draft::Lookup;
using Tokens = std::vector<std::int32_t>;

Lookup make(Lookup::Options options) {
  auto lookup = Lookup::create(options);
  EXPECT_TRUE(lookup);
  return *std::move(lookup);
}

Tokens propose(Lookup& lookup, std::size_t room = 64) {
  const auto count = static_cast<std::int64_t>(room);
  auto draft = draft::Draft::create({.capacity = count});
  EXPECT_TRUE(draft);
  EXPECT_TRUE(lookup.propose({.count = count}, *draft));
  EXPECT_TRUE(draft->chain());
  return Tokens(draft->tokens().begin(), draft->tokens().end());
}

// By the definition: of all earlier places where the longest suffix occurs, the newest; copying
// goes on into what is copied.
Tokens oracle(const Tokens& text, const Lookup::Options& o) {
  const auto n = static_cast<std::int64_t>(text.size());
  std::int64_t best_end = -1, best = 0;
  for (std::int64_t end = n - 2; end >= 0; --end) {  // newest first
    std::int64_t length = 0;
    while (length <= end && text[static_cast<std::size_t>(end - length)] ==
                                text[static_cast<std::size_t>(n - 1 - length)])
      ++length;
    if (length >= o.min_match && length > best) best = length, best_end = end;
  }
  if (best == 0) return {};
  Tokens all = text;
  for (std::int64_t i = 0; i < o.length; ++i)
    all.push_back(all[static_cast<std::size_t>(best_end + 1 + i)]);
  return Tokens(all.begin() + n, all.end());
}

TEST(Lookup, EqualsTheDefinitionOnRandomTexts) {
  int found = 0, none = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 rng(seed);
    const auto alphabet = 1 + rng() % 5;
    const auto length = rng() % 60;
    const Lookup::Options options{static_cast<std::int64_t>(1 + rng() % 12),
                                  static_cast<std::int64_t>(1 + rng() % 4), 64};
    Tokens text;
    for (std::size_t i = 0; i < length; ++i)
      text.push_back(static_cast<std::int32_t>(rng() % alphabet));
    Lookup lookup = make(options);
    ASSERT_TRUE(lookup.begin(text));
    const Tokens expected = oracle(text, options);
    EXPECT_EQ(propose(lookup), expected) << "seed " << seed;
    EXPECT_EQ(propose(lookup), expected) << "asked again, seed " << seed;
    ++(expected.empty() ? none : found);
  }
  EXPECT_GT(found, 1000);
  EXPECT_GT(none, 100);
}

TEST(Lookup, ShortPeriodsAreContinuedForAsLongAsIsAsked) {
  for (std::int32_t period = 1; period <= 5; ++period)
    for (std::int64_t repeats = 2; repeats <= 4; ++repeats) {
      Lookup lookup = make({.length = 8, .min_match = 1, .capacity = 100});
      Tokens text;
      for (std::int64_t i = 0; i < repeats * period; ++i)
        text.push_back(static_cast<std::int32_t>(i % period) + 10);
      ASSERT_TRUE(lookup.begin(text));
      Tokens expected;
      for (std::int64_t i = 0; i < 8; ++i)
        expected.push_back(static_cast<std::int32_t>((repeats * period + i) % period) + 10);
      EXPECT_EQ(propose(lookup), expected) << "period " << period << ", " << repeats << " times";
    }
}

TEST(Lookup, ChunksMakeNoDifference) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 rng(seed);
    Tokens text;
    for (int i = 0; i < 200; ++i) text.push_back(static_cast<std::int32_t>(rng() % 3));
    Lookup whole = make({.capacity = 200}), parts = make({.capacity = 200});
    ASSERT_TRUE(whole.begin(text));
    const std::span<const std::int32_t> all(text);
    std::size_t done = rng() % 20;
    ASSERT_TRUE(parts.begin(all.first(done)));
    while (done < text.size()) {
      const std::size_t count = std::min(text.size() - done, std::size_t(rng() % 9));
      ASSERT_TRUE(parts.append(all.subspan(done, count)));
      done += count;
      // Asking in between changes nothing.
      if (rng() % 3 == 0) {
        const Tokens so_far(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(done));
        EXPECT_EQ(propose(parts), oracle(so_far, {}));
      }
    }
    EXPECT_EQ(propose(parts), propose(whole)) << "seed " << seed;
    // begin() forgets.
    ASSERT_TRUE(parts.begin(all.first(50)));
    EXPECT_EQ(propose(parts), oracle(Tokens(text.begin(), text.begin() + 50), {}));
  }
}

TEST(Lookup, RoomBoundsTheProposal) {
  Lookup lookup = make({.length = 8, .min_match = 1});
  ASSERT_TRUE(lookup.begin(Tokens{1, 2, 3, 1, 2}));
  EXPECT_EQ(propose(lookup, 0), Tokens());
  EXPECT_EQ(propose(lookup, 3), (Tokens{3, 1, 2}));
  EXPECT_EQ(propose(lookup, 64), (Tokens{3, 1, 2, 3, 1, 2, 3, 1}));
}

TEST(Lookup, AFullHistoryIsAValueAndLosesNothing) {
  Lookup lookup = make({.length = 4, .min_match = 1, .capacity = 6});
  ASSERT_TRUE(lookup.begin(Tokens{1, 2, 3, 1}));
  const Status status = lookup.append(Tokens{2, 3, 4});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::out_of_memory);
  EXPECT_NE(std::string(status.error().reason).find("6"), std::string::npos);
  EXPECT_NE(std::string(status.error().reason).find("7"), std::string::npos);
  EXPECT_EQ(propose(lookup), (Tokens{2, 3, 1, 2})) << "as before the call";
  ASSERT_TRUE(lookup.append(Tokens{2, 3}));
  EXPECT_EQ(propose(lookup), (Tokens{1, 2, 3, 1}));
  ASSERT_TRUE(lookup.begin(Tokens{9, 9}));
  EXPECT_EQ(propose(lookup), (Tokens{9, 9, 9, 9}));
  ASSERT_FALSE(Lookup::create({.length = 0}));
  ASSERT_FALSE(Lookup::create({.min_match = 0}));
  ASSERT_FALSE(Lookup::create({.capacity = -1}));
}

// Quadratic time would take seconds; the bound leaves room for a slow or busy machine.
TEST(Lookup, TimeIsLinear) {
  const std::int64_t count = 32768;
  std::mt19937_64 rng(1);
  for (const std::int32_t alphabet : {1, 2, 1000}) {
    Tokens text;
    for (std::int64_t i = 0; i < count; ++i)
      text.push_back(static_cast<std::int32_t>(rng() % static_cast<std::uint64_t>(alphabet)));
    Lookup lookup = make({.capacity = count});
    ASSERT_TRUE(lookup.begin(text));
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      propose(lookup);
      const auto end = std::chrono::steady_clock::now();
      best = std::min(best, std::chrono::duration<double, std::milli>(end - start).count());
    }
    EXPECT_LT(best, 30) << alphabet << " different tokens";
  }
}

}  // namespace
