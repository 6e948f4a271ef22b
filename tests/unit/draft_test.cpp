#include "kedge/draft/draft.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace kedge::tests {
namespace {

using draft::Draft;
using Tokens = std::vector<std::int32_t>;

template <class T>
std::vector<T> copy(std::span<const T> values) {
  return {values.begin(), values.end()};
}

TEST(Draft, AChainAndWhatIsKeptOfIt) {
  auto d = Draft::create({.capacity = 3});
  ASSERT_TRUE(d);
  d->push(5);
  d->push(6, 0.25f);
  EXPECT_TRUE(d->chain());
  EXPECT_EQ(copy(d->tokens()), (Tokens{5, 6}));
  EXPECT_EQ(copy(d->parents()), (Tokens{-1, 0}));
  EXPECT_TRUE(std::isnan(d->confidences()[0]));
  EXPECT_EQ(d->confidences()[1], 0.25f);
  d->push(7);
  d->push(8);  // no room: nothing happens
  EXPECT_TRUE(d->full());
  EXPECT_EQ(copy(d->tokens()), (Tokens{5, 6, 7}));
  d->cut(1);
  EXPECT_EQ(copy(d->tokens()), (Tokens{5}));
  d->cut(2);  // no more than there are
  EXPECT_EQ(d->size(), 1);
  d->cut(-1);
  EXPECT_EQ(d->size(), 0);
}

TEST(Draft, ATreeIsAChainAgainWhenItsBranchesAreCut) {
  auto d = Draft::create({.capacity = 4});
  ASSERT_TRUE(d);
  d->push(1);
  d->push(2);
  d->push_behind(0, 3);
  EXPECT_FALSE(d->chain());
  EXPECT_EQ(copy(d->parents()), (Tokens{-1, 0, 0}));
  d->cut(2);
  EXPECT_TRUE(d->chain());
  d->push_behind(-1, 9);
  EXPECT_FALSE(d->chain());
  d->clear();
  EXPECT_TRUE(d->chain());
  EXPECT_EQ(d->size(), 0);
}

TEST(Draft, DistributionsShareOneRoom) {
  auto d = Draft::create({.capacity = 3, .probabilities = 3});
  ASSERT_TRUE(d);
  d->push(4);
  d->push(5);
  const Tokens two = {4, 8};
  const std::vector<float> half = {0.5f, 0.5f};
  ASSERT_TRUE(d->set_distribution(0, two, half));
  EXPECT_EQ(copy(d->distribution(0).tokens), two);
  EXPECT_EQ(copy(d->distribution(0).probabilities), half);
  EXPECT_TRUE(d->distribution(1).tokens.empty());
  const Status full = d->set_distribution(1, two, half);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::out_of_memory);
  EXPECT_FALSE(d->set_distribution(2, two, half)) << "there is no such guess";
  EXPECT_FALSE(d->set_distribution(0, two, {}));
  d->clear();
  d->push(4);
  EXPECT_TRUE(d->distribution(0).tokens.empty()) << "a new guess is certain";
  ASSERT_TRUE(d->set_distribution(0, two, half));
}

TEST(Draft, ImpossibleSizesAreErrors) {
  EXPECT_FALSE(Draft::create({.capacity = -1}));
  EXPECT_FALSE(Draft::create({.probabilities = -1}));
  auto none = Draft::create({.capacity = 0});
  ASSERT_TRUE(none);
  none->push(1);
  EXPECT_EQ(none->size(), 0);
}

}  // namespace
}  // namespace kedge::tests
