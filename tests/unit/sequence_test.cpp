#include "kedge/state/sequence.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace kedge;

KvCache make(KvCache::Options options) {
  auto cache = KvCache::create(2, 1, 16, options);
  EXPECT_TRUE(cache) << cache.error().reason;
  return *std::move(cache);
}
template <class T>
bool fails(const Result<T>& result, Code code, const char* word) {
  return !result && result.error().code == code &&
         (std::string(result.error().place) + result.error().reason).find(word) !=
             std::string::npos;
}

TEST(Transaction, CommitKeepsAPrefixAndDropKeepsNothing) {
  KvCache cache = make({.positions = 200});
  auto s = Sequence::create(cache);
  ASSERT_TRUE(s);
  EXPECT_EQ(s->length(), 0);
  {
    auto t = s->begin(10);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->first_position(), 0);
    EXPECT_EQ(t->rows(), 10);
    EXPECT_TRUE(t->commit(7));
    EXPECT_EQ(s->length(), 7);
  }
  EXPECT_EQ(s->length(), 7);
  {
    auto t = s->begin(100);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->first_position(), 7);
  }
  EXPECT_EQ(s->length(), 7);
  auto t = s->begin(193);
  ASSERT_TRUE(t) << "exactly to the end";
  EXPECT_TRUE(t->commit(193));
  EXPECT_EQ(s->length(), 200);
  EXPECT_TRUE(fails(s->begin(1), Code::out_of_memory, "200"));
}

TEST(Transaction, MisuseIsAValue) {
  KvCache cache = make({.positions = 100});
  auto s = Sequence::create(cache);
  ASSERT_TRUE(s);
  auto t = s->begin(5);
  ASSERT_TRUE(t);
  EXPECT_TRUE(fails(s->begin(1), Code::busy, "transaction"));
  EXPECT_TRUE(fails(t->commit(6), Code::invalid_argument, "0..5"));
  EXPECT_TRUE(fails(t->commit(-1), Code::invalid_argument, "-1"));
  EXPECT_EQ(s->length(), 0);
  EXPECT_TRUE(t->commit(5)) << "the transaction survives a wrong count";
  EXPECT_TRUE(fails(t->commit(1), Code::invalid_argument, "before"));
  EXPECT_EQ(s->length(), 5);
  EXPECT_TRUE(fails(s->begin(-1), Code::invalid_argument, "-1"));
  auto next = s->begin(1);
  EXPECT_TRUE(next) << "errors leave no transaction open";
}

TEST(Transaction, AMovedOneIsTheSameOne) {
  KvCache cache = make({.positions = 100});
  auto s = Sequence::create(cache);
  ASSERT_TRUE(s);
  {
    auto t = s->begin(4);
    ASSERT_TRUE(t);
    Transaction moved = *std::move(t);
    EXPECT_TRUE(moved.commit(3));
  }
  EXPECT_EQ(s->length(), 3);
  EXPECT_TRUE(s->begin(4));
}

TEST(KvCache, SequencesAreClaimedAndGivenBack) {
  KvCache cache = make({.positions = 100, .sequences = 2});
  auto a = Sequence::create(cache);
  {
    auto b = Sequence::create(cache);
    ASSERT_TRUE(a && b);
    EXPECT_NE(a->index(), b->index());
    EXPECT_TRUE(fails(Sequence::create(cache), Code::busy, "2 sequences"));
  }
  EXPECT_TRUE(Sequence::create(cache));
}

TEST(KvCache, WithoutPagesLeftNothingChanges) {
  KvCache cache = make({.positions = 640, .sequences = 2, .pages = 5});
  auto a = Sequence::create(cache), b = Sequence::create(cache);
  ASSERT_TRUE(a && b);
  {
    auto t = a->begin(65);  // two pages
    ASSERT_TRUE(t && t->commit(65));
  }
  EXPECT_EQ(cache.free_pages(), 3);
  {
    auto t = b->begin(64);
    ASSERT_TRUE(t && t->commit(64));
  }
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_TRUE(fails(a->begin(64 * 4 + 1 - 65), Code::out_of_memory, "2 free"));
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_EQ(a->length(), 65);
  EXPECT_TRUE(a->begin(63)) << "room in its own pages";
  *b = Sequence();
  EXPECT_EQ(cache.free_pages(), 3);
  auto t = a->begin(64 * 4 + 1 - 65);
  ASSERT_TRUE(t);
  EXPECT_EQ(cache.free_pages(), 0);
}

// Any history of claims, growth, undo and release: no page is ever with two sequences, and all come
// back.
TEST(KvCache, NoPageIsShared) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 rng(seed);
    const std::int64_t pages = 17;
    KvCache cache = make({.positions = 500, .sequences = 4, .pages = pages});
    const Tensor table = cache.page_table();
    EXPECT_EQ(table.rows(), 4);
    EXPECT_EQ(table.width(), 8);
    std::vector<Sequence> sequences;
    for (int step = 0; step < 300; ++step) {
      if (rng() % 8 == 0 && sequences.size() < 4) {
        auto s = Sequence::create(cache);
        ASSERT_TRUE(s);
        sequences.push_back(*std::move(s));
      } else if (!sequences.empty() && rng() % 12 == 0) {
        sequences.erase(sequences.begin() + static_cast<std::ptrdiff_t>(rng() % sequences.size()));
      } else if (!sequences.empty()) {
        Sequence& s = sequences[rng() % sequences.size()];
        const auto rows = static_cast<std::int64_t>(1 + rng() % 90);
        auto t = s.begin(rows);
        if (t) ASSERT_TRUE(t->commit(static_cast<std::int64_t>(rng() % (rows + 1))));
        else ASSERT_EQ(t.error().code, Code::out_of_memory);
      }
      std::set<std::int32_t> taken;
      std::int64_t used = 0;
      for (const Sequence& s : sequences)
        for (std::int64_t p = 0; p < (s.length() + 63) / 64; ++p, ++used) {
          const std::int32_t page = table.row<std::int32_t>(s.index())[p];
          ASSERT_GE(page, 0);
          ASSERT_LT(page, pages);
          taken.insert(page);
        }
      ASSERT_EQ(static_cast<std::int64_t>(taken.size()), used) << "seed " << seed;
      ASSERT_LE(used, pages - cache.free_pages());
    }
    sequences.clear();
    EXPECT_EQ(cache.free_pages(), pages);
  }
}

TEST(KvCache, OptionsAreChecked) {
  EXPECT_TRUE(fails(KvCache::create(1, 1, 16, {.element = Element::q4_1, .positions = 10}),
                    Code::unsupported, "q4_1"));
  EXPECT_TRUE(fails(KvCache::create(1, 1, 16, {.element = Element::q8_0, .positions = 10}),
                    Code::unsupported, "divisible by 32"));
  EXPECT_TRUE(fails(KvCache::create(1, 1, 16, {.positions = 0}), Code::invalid_argument, "0"));
  EXPECT_TRUE(fails(KvCache::create(1, 1, 16, {.positions = 10, .sequences = 0}),
                    Code::invalid_argument, "sequences"));
}

}  // namespace
