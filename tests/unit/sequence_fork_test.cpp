// Going back and forking: lists of pages that several sequences share.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kedge/state/sequence.hpp"

namespace {

using namespace kedge;

KvCache make(std::int64_t sequences, std::int64_t pages = 0) {
  auto cache =
      KvCache::create(1, 1, 16, {.positions = 1000, .sequences = sequences, .pages = pages});
  EXPECT_TRUE(cache) << cache.error().reason;
  return *std::move(cache);
}

// A key that says who wrote it, where a kernel would put it.
std::uint16_t& key(KvCache& cache, const Sequence& s, std::int64_t position) {
  const KvPageLayout& layout = cache.layout();
  const std::int32_t page = cache.page_table().row<std::int32_t>(s.index())[position / 64];
  auto* block = reinterpret_cast<std::uint16_t*>(cache.pool() + layout.offset(page, 0, 0));
  return block[layout.key_index(position % 64, 3)];
}
void append(KvCache& cache, Sequence& s, std::int64_t count, std::uint16_t mark) {
  auto t = s.begin(count);
  ASSERT_TRUE(t) << t.error().reason;
  for (std::int64_t p = s.length(); p < s.length() + count; ++p) key(cache, s, p) = mark;
  ASSERT_TRUE(t->commit(count));
}

TEST(Rewind, GivesBackPagesAndKeepsTheRest) {
  KvCache cache = make(1);
  auto s = Sequence::create(cache);
  ASSERT_TRUE(s);
  const std::int64_t all = cache.free_pages();
  append(cache, *s, 200, 1);
  EXPECT_EQ(cache.free_pages(), all - 4);
  ASSERT_TRUE(s->rewind(129));
  EXPECT_EQ(s->length(), 129);
  EXPECT_EQ(cache.free_pages(), all - 3);
  ASSERT_TRUE(s->rewind(128));
  EXPECT_EQ(cache.free_pages(), all - 2);
  append(cache, *s, 3, 2);
  EXPECT_EQ(key(cache, *s, 127), 1);
  EXPECT_EQ(key(cache, *s, 128), 2);
  EXPECT_FALSE(s->rewind(132));
  EXPECT_FALSE(s->rewind(-1));
  EXPECT_EQ(s->length(), 131);
  {
    auto t = s->begin(1);
    ASSERT_TRUE(t);
    EXPECT_EQ(s->rewind(1).error().code, Code::busy);
    EXPECT_EQ(s->fork().error().code, Code::busy);
  }
  ASSERT_TRUE(s->rewind(0));
  EXPECT_EQ(cache.free_pages(), all);
  EXPECT_EQ(cache.copied_pages(), 0);
}

TEST(Fork, OnlyTheHalfFullPageIsCopiedAndOnlyWhenWritten) {
  KvCache cache = make(3);
  auto a = Sequence::create(cache);
  ASSERT_TRUE(a);
  append(cache, *a, 150, 1);
  const std::int64_t before = cache.free_pages();
  auto b = a->fork();
  ASSERT_TRUE(b);
  EXPECT_EQ(b->length(), 150);
  EXPECT_EQ(cache.free_pages(), before);
  EXPECT_EQ(cache.copied_pages(), 0);
  append(cache, *b, 5, 2);
  EXPECT_EQ(cache.copied_pages(), 1);
  EXPECT_EQ(cache.free_pages(), before - 1);
  append(cache, *a, 7, 3);  // the page is its own now
  EXPECT_EQ(cache.copied_pages(), 1);
  for (std::int64_t p = 0; p < 150; ++p) {
    EXPECT_EQ(key(cache, *a, p), 1);
    EXPECT_EQ(key(cache, *b, p), 1);
  }
  EXPECT_EQ(key(cache, *a, 152), 3);
  EXPECT_EQ(key(cache, *b, 152), 2);
  auto c = b->fork();
  ASSERT_TRUE(c);
  EXPECT_EQ(b->fork().error().code, Code::busy) << "three sequences are in use";
  *b = Sequence();
  EXPECT_EQ(key(cache, *c, 152), 2) << "pages live as long as one sequence has them";
  // At a page's end nothing is half full.
  ASSERT_TRUE(c->rewind(128));
  auto d = c->fork();
  ASSERT_TRUE(d);
  append(cache, *d, 1, 4);
  append(cache, *c, 1, 5);
  EXPECT_EQ(cache.copied_pages(), 1);
  EXPECT_EQ(key(cache, *d, 128), 4);
  EXPECT_EQ(key(cache, *c, 128), 5);
}

TEST(Fork, WithoutAPageForTheCopyNothingChanges) {
  KvCache cache = make(2, 2);
  auto a = Sequence::create(cache);
  ASSERT_TRUE(a);
  append(cache, *a, 100, 1);
  auto b = a->fork();
  ASSERT_TRUE(b);
  EXPECT_EQ(b->begin(1).error().code, Code::out_of_memory);
  EXPECT_EQ(a->begin(1).error().code, Code::out_of_memory);
  EXPECT_EQ(key(cache, *b, 99), 1);
  *b = Sequence();
  append(cache, *a, 1, 2);
  EXPECT_EQ(cache.copied_pages(), 0);
}

// Any history of growth, undo, going back, forks and ends: every sequence reads what it wrote or
// what it had when it was forked, and all pages come back.
TEST(Fork, AnyHistoryKeepsEveryText) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 rng(seed);
    const std::int64_t pages = 40;
    KvCache cache = make(5, pages);
    std::vector<Sequence> sequences;
    std::vector<std::vector<std::uint16_t>> texts;
    for (int step = 0; step < 400; ++step) {
      const std::size_t which = sequences.empty() ? 0 : rng() % sequences.size();
      switch (sequences.empty() ? 0 : rng() % 9) {
        case 0: {
          auto s = Sequence::create(cache);
          if (!s) break;
          sequences.push_back(*std::move(s));
          texts.emplace_back();
          break;
        }
        case 1: {
          auto s = sequences[which].fork();
          if (!s) break;
          sequences.push_back(*std::move(s));
          texts.push_back(std::vector(texts[which]));
          break;
        }
        case 2:
          sequences.erase(sequences.begin() + static_cast<std::ptrdiff_t>(which));
          texts.erase(texts.begin() + static_cast<std::ptrdiff_t>(which));
          break;
        case 3: {
          const std::size_t kept = rng() % (texts[which].size() + 1);
          ASSERT_TRUE(sequences[which].rewind(static_cast<std::int64_t>(kept)));
          texts[which].resize(kept);
          break;
        }
        default: {
          Sequence& s = sequences[which];
          const auto rows = static_cast<std::int64_t>(1 + rng() % 90);
          const auto kept = static_cast<std::int64_t>(rng()) % (rows + 1);
          auto t = s.begin(rows);
          if (!t) {
            ASSERT_EQ(t.error().code, Code::out_of_memory);
            break;
          }
          for (std::int64_t i = 0; i < rows; ++i) {
            const auto mark = static_cast<std::uint16_t>(rng());
            key(cache, s, s.length() + i) = mark;
            if (i < std::abs(kept)) texts[which].push_back(mark);
          }
          ASSERT_TRUE(t->commit(std::abs(kept)));
        }
      }
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        ASSERT_EQ(sequences[i].length(), static_cast<std::int64_t>(texts[i].size()));
        for (std::size_t p = 0; p < texts[i].size(); ++p)
          ASSERT_EQ(key(cache, sequences[i], static_cast<std::int64_t>(p)), texts[i][p])
              << "seed " << seed << ", step " << step << ", position " << p;
      }
    }
    sequences.clear();
    EXPECT_EQ(cache.free_pages(), pages) << "seed " << seed;
  }
}

}  // namespace
