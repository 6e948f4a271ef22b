#include "kedge/verify/greedy.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace {

using kedge::verify::Accepted;
using kedge::verify::greedy;
using Tokens = std::vector<std::int32_t>;

static_assert([] {
  constexpr std::int32_t draft[] = {4, 5, 6}, choice[] = {4, 5, 7, 8};
  const Accepted a = greedy(draft, choice);
  return a.count == 2 && a.evaluated == 3 && a.next == 7;
}());

TEST(Greedy, WithoutDraftsTheChoiceIsNext) {
  const Accepted a = greedy({}, Tokens{9});
  EXPECT_EQ(a.count, 0);
  EXPECT_EQ(a.evaluated, 0);
  EXPECT_EQ(a.next, 9);
}

TEST(Greedy, EveryLengthAndFirstMismatch) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 rng(seed);
    for (std::size_t length = 0; length <= 31; ++length)
      for (std::size_t held = 0; held <= length; ++held) {
        Tokens choice(length + 1);
        for (auto& t : choice) t = static_cast<std::int32_t>(rng() % 50);
        Tokens draft(choice.begin(), choice.end() - 1);
        if (held < length) draft[held] += 50;
        // What stands behind the first mismatch does not matter, right or wrong.
        for (std::size_t i = held + 1; i < length; ++i) draft[i] += rng() % 2 == 0 ? 50 : 0;
        const Accepted a = greedy(draft, choice);
        EXPECT_EQ(a.count, static_cast<std::int64_t>(held)) << "seed " << seed;
        EXPECT_EQ(a.evaluated, static_cast<std::int64_t>(std::min(held + 1, length)));
        EXPECT_EQ(a.next, choice[held]);
      }
  }
}

}  // namespace
