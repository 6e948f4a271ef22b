#include "kedge/draft/suffix.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "unit/ngram_support.hpp"

namespace kedge::tests {
namespace {

using draft::Suffix;
using draft::SuffixAutomaton;

// How often each token followed the last `length` tokens before, and when for the first time.
struct Follower {
  std::int64_t count = 0, first = -1;
};
std::map<std::int32_t, Follower> followers(const Tokens& text, const Tokens& what) {
  std::map<std::int32_t, Follower> found;
  for (std::size_t at = 0; at + what.size() < text.size(); ++at)
    if (std::equal(what.begin(), what.end(), text.begin() + static_cast<std::ptrdiff_t>(at))) {
      Follower& f = found[text[at + what.size()]];
      ++f.count;
      if (f.first < 0) f.first = static_cast<std::int64_t>(at);
    }
  return found;
}

void expect_equal(const SuffixAutomaton& automaton, const Tokens& text, const Tokens& what,
                  SuffixAutomaton::Place place) {
  const auto expected = followers(text, what);
  std::int64_t seen = 0, before = static_cast<std::int64_t>(text.size());
  automaton.followers(place, [&](std::int32_t token, std::int64_t count) {
    ++seen;
    ASSERT_TRUE(expected.count(token)) << token;
    EXPECT_EQ(count, expected.at(token).count) << "token " << token;
    EXPECT_LT(expected.at(token).first, before) << "what came up last is first";
    before = expected.at(token).first;
  });
  EXPECT_EQ(seen, static_cast<std::int64_t>(expected.size()));
}

// Every suffix up to the depth, and places reached by going on, against counting.
TEST(SuffixAutomaton, CountsWhatFollowedEverySuffix) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 rng(seed);
    const auto depth = static_cast<std::int32_t>(1 + rng() % 9);
    const std::uint64_t alphabet = 1 + rng() % 4;
    auto automaton = SuffixAutomaton::create({.capacity = 90, .depth = depth});
    ASSERT_TRUE(automaton);
    Tokens text;
    for (int step = 0; step < 10; ++step) {
      if (rng() % 3 == 0) {
        text.resize(rng() % (text.size() + 1));
        automaton->truncate(static_cast<std::int64_t>(text.size()));
      } else {
        const Tokens more =
            random_text(rng, std::min(std::size_t(rng() % 40), 90 - text.size()), alphabet);
        ASSERT_TRUE(automaton->append(more));
        text.insert(text.end(), more.begin(), more.end());
      }
      SCOPED_TRACE(testing::Message()
                   << "seed " << seed << ", step " << step << ", depth " << depth);
      ASSERT_EQ(Tokens(automaton->text().begin(), automaton->text().end()), text);
      auto place = automaton->tail();
      ASSERT_EQ(place.length, std::min<std::int64_t>(depth, std::int64_t(text.size())));
      std::size_t last_length = 1000, last_count = 0;
      for (; place.length > 0; place = automaton->shorter(place)) {
        const Tokens what(text.end() - place.length, text.end());
        expect_equal(*automaton, text, what, place);
        std::size_t count = 1;  // at the end
        for (const auto& [token, f] : followers(text, what))
          count += static_cast<std::size_t>(f.count);
        EXPECT_EQ(automaton->occurrences(place), static_cast<std::int64_t>(count));
        // Suffixes between two links occur as often as the longer one.
        EXPECT_GT(count, last_count);
        for (std::size_t l = static_cast<std::size_t>(place.length) + 1;
             l < last_length && last_length < 1000; ++l) {
          std::size_t between = 1;
          for (const auto& [token, f] :
               followers(text, Tokens(text.end() - std::ptrdiff_t(l), text.end())))
            between += static_cast<std::size_t>(f.count);
          EXPECT_EQ(between, last_count);
        }
        last_length = static_cast<std::size_t>(place.length), last_count = count;
        // One walk from here.
        auto walked = place;
        Tokens spelled = what;
        for (int i = 0; i < 5; ++i) {
          std::int32_t token = -1;
          automaton->followers(walked, [&](std::int32_t t, std::int64_t) { token = t; });
          if (token < 0) break;
          walked = automaton->after(walked, token);
          spelled.push_back(token);
          if (static_cast<std::int64_t>(spelled.size()) > depth) spelled.erase(spelled.begin());
          ASSERT_EQ(walked.length, static_cast<std::int64_t>(spelled.size()));
          expect_equal(*automaton, text, spelled, walked);
        }
      }
      EXPECT_EQ(automaton->after(automaton->tail(), 77).length, 0);
    }
  }
}

// Not many states, edges and redirections, and no append that costs the length of the text.
TEST(SuffixAutomaton, LongTextsOfEveryKindFit) {
  for (const std::uint64_t alphabet : {1u, 2u, 3u, 50u, 5000u}) {
    std::mt19937_64 rng(alphabet);
    const std::size_t length = 40000;
    auto automaton = SuffixAutomaton::create({.capacity = std::int64_t(length)});
    ASSERT_TRUE(automaton);
    const Tokens text = random_text(rng, length, alphabet);
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(automaton->append(text));
    automaton->truncate(0);
    const auto end = std::chrono::steady_clock::now();
    EXPECT_LT(std::chrono::duration<double>(end - start).count(), 1.5) << alphabet;
    EXPECT_EQ(automaton->tail().length, 0);
    ASSERT_TRUE(automaton->append(text)) << "and once more in the same memory";
  }
  // Fibonacci's word and its like have the most states.
  Tokens a = {1}, b = {1, 2};
  while (b.size() < 8000) {
    Tokens c = b;
    c.insert(c.end(), a.begin(), a.end());
    a = std::exchange(b, c);
  }
  auto automaton = SuffixAutomaton::create({.capacity = std::int64_t(b.size()) + 3000});
  ASSERT_TRUE(automaton);
  ASSERT_TRUE(automaton->append(b));
  Tokens abb = {1};  // a b b b ... c
  abb.resize(2999, 2);
  abb.push_back(3);
  ASSERT_TRUE(automaton->append(abb));
}

Suffix make(const Suffix::Options& options) {
  auto made = Suffix::create(options);
  EXPECT_TRUE(made);
  return *std::move(made);
}

TEST(Suffix, GuessesDependOnTheTextAlone) {
  expect_guesses_depend_on_the_text_alone([] { return make({.capacity = 130}); }, 4);
  expect_guesses_depend_on_the_text_alone(
      [] { return make({.min_match = 3, .depth = 6, .capacity = 130}); }, 3);
}

TEST(Suffix, EveryPeriodIsContinued) {
  expect_periods_are_continued([] { return make({.length = 31, .min_match = 2}); }, 8);
  expect_periods_are_continued([] { return make({.length = 31, .depth = 5}); }, 8);
}

TEST(Suffix, AFullHistoryIsAValue) {
  expect_overflow_is_a_value(make({.capacity = 50}), 50);
  EXPECT_FALSE(Suffix::create({.min_match = 0}));
  EXPECT_FALSE(Suffix::create({.min_match = 9, .depth = 8}));
  EXPECT_FALSE(Suffix::create({.capacity = -1}));
}

TEST(Suffix, WhatFollowedMostOftenIsGuessed) {
  auto suffix = make({.length = 2});
  ASSERT_TRUE(suffix.begin(Tokens{1, 2, 30, 9, 1, 2, 30, 8, 1, 2, 30, 7, 1, 2, 40, 6, 1, 2}));
  EXPECT_EQ(guesses(suffix)[0], 30);
  // Of equally frequent ones what came up last.
  ASSERT_TRUE(suffix.begin(Tokens{1, 2, 30, 9, 1, 2, 40, 8, 1, 2}));
  EXPECT_EQ(guesses(suffix)[0], 40);
}

TEST(Suffix, LongerMatchesAndAgreementMakeItSurer) {
  auto suffix = make({.length = 1});
  const auto sure = [&](const Tokens& text) {
    EXPECT_TRUE(suffix.begin(text));
    const Proposed p = propose(suffix, {.count = 1});
    EXPECT_EQ(p.tokens.size(), 1u);
    return p.confidences.empty() ? 0 : p.confidences[0];
  };
  const float one = sure({1, 50, 2, 1});
  EXPECT_GT(sure({1, 2, 3, 4, 50, 5, 1, 2, 3, 4}), one) << "longer";
  EXPECT_GT(sure({1, 50, 2, 1, 50, 3, 1, 50, 4, 1}), one) << "unanimous";
  EXPECT_LT(sure({1, 50, 2, 1, 51, 3, 1, 52, 4, 1}), one) << "divided";
}

// The first guesses of a tree are what a chain would guess, and its branches are other ways on.
TEST(Suffix, ATreeBranchesWhereTheTextDid) {
  auto suffix = make({.length = 31});
  Tokens text;
  for (int i = 0; i < 4; ++i) {
    const Tokens part = i % 2 == 0 ? Tokens{1, 2, 3, 30, 31, 32} : Tokens{1, 2, 3, 40, 41, 42};
    text.push_back(100 + i);  // what came before says nothing
    text.insert(text.end(), part.begin(), part.end());
  }
  text.insert(text.end(), {200, 1, 2, 3});
  ASSERT_TRUE(suffix.begin(text));
  const Proposed p = propose(suffix, {.count = 8, .tree = true});
  ASSERT_EQ(p.tokens.size(), 8u);
  const auto child = [&](std::int32_t parent, std::int32_t token) {
    for (std::size_t i = 0; i < p.tokens.size(); ++i)
      if (p.parents[i] == parent && p.tokens[i] == token) return static_cast<std::int32_t>(i);
    return -2;
  };
  for (const std::int32_t begin : {30, 40}) {
    const std::int32_t node = child(-1, begin);
    ASSERT_GE(node, 0) << begin;
    EXPECT_GE(child(node, begin + 1), 0) << begin;
  }
  for (std::size_t i = 0; i < p.tokens.size(); ++i) {
    EXPECT_LT(p.parents[i], static_cast<std::int32_t>(i));
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_FALSE(p.parents[i] == p.parents[j] && p.tokens[i] == p.tokens[j]) << "twins";
  }
  // A smaller tree is its beginning.
  const Proposed small = propose(suffix, {.count = 3, .tree = true});
  EXPECT_EQ(small.tokens, first(p.tokens, 3));
}

// Random texts: no twins, parents first, confidences of siblings together at most 1.
TEST(Suffix, TreesAreWellFormed) {
  std::int64_t branched = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 rng(seed);
    auto suffix = make({.length = 31, .capacity = 200});
    ASSERT_TRUE(suffix.begin(random_text(rng, 20 + rng() % 150, 2 + rng() % 5)));
    const Proposed p = propose(suffix, {.count = 31, .tree = true});
    std::map<std::int32_t, float> mass;
    std::map<std::pair<std::int32_t, std::int32_t>, int> twins;
    for (std::size_t i = 0; i < p.tokens.size(); ++i) {
      ASSERT_LT(p.parents[i], static_cast<std::int32_t>(i));
      ASSERT_GE(p.parents[i], -1);
      mass[p.parents[i]] += p.confidences[i];
      EXPECT_EQ(++twins[std::pair(p.parents[i], p.tokens[i])], 1) << "seed " << seed;
      branched += p.parents[i] != static_cast<std::int32_t>(i) - 1 ? 1 : 0;
    }
    for (const auto& [parent, sum] : mass) EXPECT_LE(sum, 1.001f) << "seed " << seed;
  }
  EXPECT_GT(branched, 1000);
}

}  // namespace
}  // namespace kedge::tests
