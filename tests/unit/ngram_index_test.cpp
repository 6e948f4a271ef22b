#include "kedge/draft/ngram_index.hpp"

#include <gtest/gtest.h>

#include "unit/ngram_support.hpp"

namespace kedge::tests {
namespace {

using draft::NgramIndex;

// All positions up to `last` where the last n tokens of text[0, end] end too, newest first.
std::vector<std::int64_t> occurrences(const Tokens& text, std::int64_t n, std::int64_t end,
                                      std::int64_t last) {
  std::vector<std::int64_t> found;
  for (std::int64_t at = last; at + 1 >= n; --at)
    if (std::equal(text.begin() + at + 1 - n, text.begin() + at + 1, text.begin() + end + 1 - n))
      found.push_back(at);
  return found;
}

TEST(NgramIndex, FindsEveryOccurrenceNewestFirst) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    std::mt19937_64 rng(seed);
    const std::array<std::int32_t, 4> orders = {1, static_cast<std::int32_t>(2 + rng() % 3), 0, 7};
    auto index = NgramIndex::create({.capacity = 100, .orders = orders});
    ASSERT_TRUE(index);
    Tokens text;
    for (int step = 0; step < 12; ++step) {
      if (rng() % 4 == 0) {
        text.resize(rng() % (text.size() + 1));
        index->truncate(static_cast<std::int64_t>(text.size()));
      } else {
        const Tokens more =
            random_text(rng, std::min(std::size_t(rng() % 30), 100 - text.size()), 1 + rng() % 4);
        ASSERT_TRUE(index->append(more));
        text.insert(text.end(), more.begin(), more.end());
      }
      ASSERT_EQ(Tokens(index->text().begin(), index->text().end()), text);
      // The newest n-grams, and ones that reach into guesses behind the text.
      Tokens virtual_text = text;
      for (std::int64_t i = 0; i < 3; ++i) {
        virtual_text.push_back(static_cast<std::int32_t>(rng() % 3));
        index->guess(i, virtual_text.back());
      }
      const auto size = static_cast<std::int64_t>(text.size());
      for (const std::size_t o : {std::size_t{0}, std::size_t{1}, std::size_t{3}})
        for (std::int64_t end = std::max<std::int64_t>(0, size - 2); end < size + 3; ++end) {
          if (end + 1 < orders[o]) {
            EXPECT_EQ(index->find(o, end, end - 1), -1);
            continue;
          }
          const std::int64_t last = std::min(end, size) - 1;
          std::vector<std::int64_t> found;
          for (std::int64_t at = index->find(o, end, last); at >= 0; at = index->next(o, end, at))
            found.push_back(at);
          ASSERT_EQ(found, occurrences(virtual_text, orders[o], end, last))
              << "seed " << seed << ", order " << orders[o] << ", end " << end << " of " << size;
        }
    }
  }
}

TEST(NgramIndex, ImpossibleSizesAreErrors) {
  EXPECT_FALSE(NgramIndex::create({.capacity = 0}));
  EXPECT_FALSE(NgramIndex::create({.capacity = std::int64_t{1} << 40}));
  EXPECT_FALSE(NgramIndex::create({.orders = {3, -1}}));
}

}  // namespace
}  // namespace kedge::tests
