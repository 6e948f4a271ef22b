// Sequences of the toy model beside the texts that they should be, under every policy.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "kedge/state/recurrent_state.hpp"
#include "unit/recurrent_toy.hpp"

namespace kedge::tests {

struct World {
  World(RecurrentPolicy policy, std::int64_t sequences = 3, std::int64_t landmarks = 0)
      : cache(*KvCache::create(1, 1, 4, {.positions = 4096, .sequences = sequences})),
        state(*RecurrentState::create(
            toy_shape, {.policy = policy, .sequences = sequences, .landmarks = landmarks})),
        model(state) {}
  Sequence sequence() { return *Sequence::create(cache, &state); }

  KvCache cache;
  RecurrentState state;
  ToyModel model;
};

inline std::vector<std::int32_t> tokens(std::int64_t count, std::int32_t first = 1) {
  std::vector<std::int32_t> list(static_cast<std::size_t>(count));
  std::iota(list.begin(), list.end(), first);
  return list;
}

// A sequence beside the text that it should be.
struct Pair {
  explicit Pair(World& w) : world(&w), sequence(w.sequence()) {}
  Pair(World& w, Sequence&& s, ToyText t) : world(&w), sequence(std::move(s)), text(std::move(t)) {}

  // One pass whose first n rows are committed; wrong outputs fail the test.
  void pass(const std::vector<std::int32_t>& rows, std::int64_t n,
            std::int64_t keep = RecurrentPolicy::max_depth) {
    auto t = sequence.begin(static_cast<std::int64_t>(rows.size()), keep);
    ASSERT_TRUE(t) << t.error().reason;
    const auto y = world->model.run({{sequence.index(), sequence.length(), rows}});
    ASSERT_TRUE(y) << y.error().reason;
    const std::int64_t before = text.length();
    for (std::size_t i = 0; i < rows.size(); ++i)
      ASSERT_EQ(text.push(rows[i]), (*y)[i]) << "position " << before << " + " << i;
    text.truncate(before + n);
    const Status committed = t->commit(n);
    ASSERT_TRUE(committed) << committed.error().reason;
    ASSERT_EQ(sequence.length(), text.length());
    poison_unused(world->state);
  }
  void all(const std::vector<std::int32_t>& rows, std::int64_t keep = RecurrentPolicy::max_depth) {
    pass(rows, static_cast<std::int64_t>(rows.size()), keep);
  }
  std::int64_t rewind(std::int64_t to) {
    const auto at = sequence.rewind(to);
    EXPECT_TRUE(at) << at.error().reason;
    text.truncate(*at);
    poison_unused(world->state);
    return *at;
  }
  std::int64_t depth() const { return world->state.depth(sequence.index()); }
  // Goes on for longer than any ring, in different widths.
  void prove() {
    for (const std::int64_t width : {1, 3, 1, 1, 7, 2, 40})
      ASSERT_NO_FATAL_FAILURE(all(tokens(width, static_cast<std::int32_t>(50 + width))));
  }

  World* world;
  Sequence sequence;
  ToyText text;
};

class UnderPolicy : public ::testing::TestWithParam<RecurrentPolicy> {
 protected:
  bool records() const { return GetParam().kind == RecurrentPolicy::Kind::replay; }
};

inline auto every_policy() {
  return ::testing::Values(
      RecurrentPolicy::snapshots(1), RecurrentPolicy::snapshots(2), RecurrentPolicy::snapshots(4),
      RecurrentPolicy::snapshots(8), RecurrentPolicy::replay(1), RecurrentPolicy::replay(2),
      RecurrentPolicy::replay(4), RecurrentPolicy::replay(8), RecurrentPolicy::checkpoint());
}
inline std::string policy_name(const ::testing::TestParamInfo<RecurrentPolicy>& instance) {
  return std::string(to_string(instance.param.kind)) + std::to_string(instance.param.depth);
}

}  // namespace kedge::tests
