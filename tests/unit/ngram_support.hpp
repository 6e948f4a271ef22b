// Texts for n-gram drafters, and what is asked of all of them: guesses are a function of the text
// alone, however it came about.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kedge/draft/drafter.hpp"

namespace kedge::tests {

using Tokens = std::vector<std::int32_t>;

inline Tokens random_text(std::mt19937_64& rng, std::size_t length, std::uint64_t alphabet) {
  Tokens text;
  for (std::size_t i = 0; i < length; ++i)
    text.push_back(static_cast<std::int32_t>(rng() % alphabet));
  return text;
}

inline Tokens first(const Tokens& text, std::size_t count) {
  return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(count)};
}

// The text `length` tokens long that repeats the first `period`.
inline Tokens periodic(std::size_t period, std::size_t length) {
  Tokens text;
  for (std::size_t i = 0; i < length; ++i)
    text.push_back(static_cast<std::int32_t>(i % period) + 10);
  return text;
}

struct Proposed {
  Tokens tokens;
  std::vector<std::int32_t> parents;
  std::vector<float> confidences;
};

template <class D>
Proposed propose(D& drafter, draft::Ask ask) {
  auto draft = draft::Draft::create({.capacity = std::max<std::int64_t>(ask.count, 1)});
  EXPECT_TRUE(draft);
  const Status status = drafter.propose(ask, *draft);
  EXPECT_TRUE(status) << status.error().reason;
  EXPECT_LE(draft->size(), ask.count);
  EXPECT_TRUE(ask.tree || draft->chain());
  for (const float confidence : draft->confidences()) {
    EXPECT_GT(confidence, 0);
    EXPECT_LE(confidence, 1);
  }
  return {{draft->tokens().begin(), draft->tokens().end()},
          {draft->parents().begin(), draft->parents().end()},
          {draft->confidences().begin(), draft->confidences().end()}};
}
template <class D>
Tokens guesses(D& drafter, std::int64_t count = 31) {
  return propose(drafter, {.count = count}).tokens;
}

// Chunks, truncations, other texts before, and questions in between leave no trace.
template <class Make>
void expect_guesses_depend_on_the_text_alone(Make make, std::uint64_t alphabet,
                                             std::size_t length = 120) {
  std::int64_t found = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 rng(seed);
    auto walked = make(), other = make();
    Tokens text;
    ASSERT_TRUE(walked.begin(text));
    for (int step = 0; step < 60; ++step) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << step);
      switch (rng() % 8) {
        case 0: {  // another sequence's drafter works in between
          ASSERT_TRUE(other.begin(random_text(rng, rng() % length, alphabet)));
          guesses(other);
          break;
        }
        case 1: {
          const std::size_t count = text.empty() ? 0 : rng() % text.size();
          text.resize(count);
          ASSERT_TRUE(walked.truncate(static_cast<std::int64_t>(count)));
          break;
        }
        case 2: {
          if (rng() % 4 != 0) break;
          text = random_text(rng, rng() % length, alphabet);
          ASSERT_TRUE(walked.begin(text));
          break;
        }
        default: {
          const std::size_t count = std::min(length - text.size(), std::size_t(rng() % 12));
          const Tokens more = random_text(rng, count, alphabet);
          text.insert(text.end(), more.begin(), more.end());
          ASSERT_TRUE(walked.append(more));
        }
      }
      auto fresh = make();
      ASSERT_TRUE(fresh.begin(text));
      const std::int64_t count = 1 + static_cast<std::int64_t>(rng() % 20);
      const Tokens expected = guesses(fresh, count);
      ASSERT_EQ(guesses(walked, count), expected);
      found += expected.empty() ? 0 : 1;
    }
  }
  EXPECT_GT(found, 500);
}

// Texts beyond the capacity are an error that changes nothing.
template <class D>
void expect_overflow_is_a_value(D drafter, std::int64_t capacity) {
  const Tokens text = periodic(3, static_cast<std::size_t>(capacity) - 1);
  ASSERT_TRUE(drafter.begin(text));
  const Tokens before = guesses(drafter);
  const Status status = drafter.append(Tokens{10, 11});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::out_of_memory);
  EXPECT_NE(std::string(status.error().reason).find(std::to_string(capacity)), std::string::npos);
  EXPECT_NE(std::string(status.error().reason).find(std::to_string(capacity + 1)),
            std::string::npos);
  EXPECT_EQ(guesses(drafter), before);
  EXPECT_FALSE(before.empty());
  ASSERT_TRUE(drafter.append(periodic(3, static_cast<std::size_t>(capacity)).back() == 10
                                 ? Tokens{10}
                                 : Tokens{text[static_cast<std::size_t>(capacity - 4)]}));
  EXPECT_FALSE(guesses(drafter).empty());
}

// Every period up to twice the key is continued for as long as is asked.
template <class Make>
void expect_periods_are_continued(Make make, std::size_t key) {
  for (std::size_t period = 1; period <= 2 * key; ++period)
    for (const std::size_t extra : {std::size_t{0}, std::size_t{1}, period / 2, 3 * period}) {
      const std::size_t length = key + period + extra;  // shorter ones say nothing yet
      auto drafter = make();
      ASSERT_TRUE(drafter.begin(periodic(period, length)));
      const Tokens all = periodic(period, length + 31);
      EXPECT_EQ(guesses(drafter), Tokens(all.end() - 31, all.end()))
          << "period " << period << ", " << length << " tokens";
    }
}

}  // namespace kedge::tests
