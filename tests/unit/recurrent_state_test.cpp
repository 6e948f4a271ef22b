// What is kept of a recurrent state and how it is gone back to, under every policy, against a toy
// model that remembers everything.
#include "unit/recurrent_world.hpp"

namespace kedge::tests {
namespace {

using Kind = RecurrentPolicy::Kind;

class Undo : public UnderPolicy {};
INSTANTIATE_TEST_SUITE_P(State, Undo, every_policy(), policy_name);

TEST_P(Undo, AnySplitOfTheRowsIsTheSameText) {
  for (const std::int64_t width : {1, 2, 3, 4, 5, 8, 9, 17, 100}) {
    World w(GetParam());
    Pair p(w);
    for (std::int64_t done = 0; done < 100; done += width)
      ASSERT_NO_FATAL_FAILURE(
          p.all(tokens(std::min(width, 100 - done), static_cast<std::int32_t>(done))));
    World prefill(GetParam());
    Pair q(prefill);
    for (std::int64_t done = 0; done < 100; done += width)
      ASSERT_NO_FATAL_FAILURE(q.all(tokens(std::min(width, 100 - done)), 1));
    p.prove();
    q.prove();
  }
}

// A pass of T rows keeps what came in and the states after the last min(T, keep, depth).
TEST_P(Undo, SaysWhatCanBeCommitted) {
  for (const std::int64_t rows : {0, 1, 2, 4, 5, 6, 12})
    for (const std::int64_t keep : {0, 1, 2, 4, 20}) {
      World w(GetParam());
      Pair p(w);
      p.all(tokens(7));
      const std::int64_t kept = std::min({rows, keep, GetParam().depth});
      for (std::int64_t n = 0; n <= rows; ++n) {
        const bool possible = n == 0 || n > rows - kept;
        {
          auto t = p.sequence.begin(rows, keep);
          ASSERT_TRUE(t);
          ASSERT_EQ(t->can_commit(n), possible) << n << " of " << rows << ", keep " << keep;
          if (!possible) {
            const Status refused = t->commit(n);
            ASSERT_FALSE(refused);
            const std::string reason = refused.error().reason;
            EXPECT_NE(reason.find("last " + std::to_string(kept) + " are kept"), std::string::npos)
                << reason;
            EXPECT_TRUE(t->can_commit(0)) << "the transaction survives";
          }
          EXPECT_FALSE(t->can_commit(-1));
          EXPECT_FALSE(t->can_commit(rows + 1));
        }
        if (!possible || rows == 0) continue;
        ASSERT_NO_FATAL_FAILURE(p.pass(tokens(rows, 30), n, keep));
        ASSERT_NO_FATAL_FAILURE(p.all({5, 6}));
      }
      p.prove();
    }
}

TEST_P(Undo, AWholeCallIsUndone) {
  for (const std::int64_t rows : {1, 2, 4, 30}) {
    World w(GetParam());
    Pair p(w);
    p.all(tokens(9));
    p.all(tokens(rows, 40), rows > GetParam().depth ? 1 : rows);
    ASSERT_EQ(p.rewind(9), 9) << rows;
    p.all(tokens(rows, 60), 1);
    ASSERT_EQ(p.rewind(9), 9) << rows;
    p.prove();
    p.rewind(0);
    p.prove();
  }
}

// Calls that keep their last state alone, and few of their columns: what is still kept of them is
// what the ring of columns has not overwritten.
TEST_P(Undo, CallsAreUndoneOneByOne) {
  for (const std::int64_t rows : {2, 3, 4, 9}) {
    World w(GetParam());
    Pair p(w);
    for (std::int32_t i = 0; i < 12; ++i) p.all(tokens(rows, 10 * i), 1);
    std::int64_t undone = 0;
    for (std::int64_t at = 12 * rows; at > 0; ++undone) {
      const std::int64_t wanted = at - rows;
      const std::int64_t to = p.rewind(wanted);
      ASSERT_TRUE(to == wanted || to == 0) << rows << ": " << wanted << ", " << to;
      ASSERT_NO_FATAL_FAILURE(p.all({1, 2}));
      ASSERT_EQ(p.rewind(to), to);
      at = to;
    }
    EXPECT_GE(undone, 2);
    p.prove();
  }
}

TEST_P(Undo, SingleTokenStepsAreUndone) {
  World w(GetParam());
  Pair p(w);
  p.all(tokens(20), 1);
  for (int i = 0; i < 12; ++i) p.all({i});
  EXPECT_GE(p.depth(), records() ? 1 : GetParam().depth);
  // One by one, as deep as is said.
  for (std::int64_t left = p.depth(); left > 0; --left) {
    ASSERT_EQ(p.depth(), left);
    const std::int64_t before = p.sequence.length();
    ASSERT_EQ(p.rewind(before - 1), before - 1);
  }
  p.prove();
}

TEST_P(Undo, NothingDraftedAndNothingAccepted) {
  World w(GetParam());
  Pair p(w);
  p.all({1, 2, 3});
  for (int i = 0; i < 10; ++i) {
    ASSERT_NO_FATAL_FAILURE(p.pass({7}, 1));
    ASSERT_NO_FATAL_FAILURE(p.pass({8, 9, 10, 11}, 0));
    ASSERT_NO_FATAL_FAILURE(p.pass({}, 0));
  }
  p.prove();
}

TEST_P(Undo, UndoMovesNoByte) {
  World w(GetParam());
  Pair p(w);
  p.all(tokens(11));
  p.all(tokens(4, 90), GetParam().kind == Kind::checkpoint ? 1 : 4);
  const auto bytes = [&] {
    std::vector<std::byte> all(w.state.memory().begin(), w.state.memory().end());
    for (std::int64_t l = 0; l < toy_layers; ++l)
      for (const Tensor& t : {w.state.records(l), w.state.window(l)})
        all.insert(all.end(), t.data, t.data + t.bytes());
    return all;
  };
  auto t = p.sequence.begin(1);
  ASSERT_TRUE(t && w.model.run({{p.sequence.index(), 15, {3}}}));
  const auto before = bytes();
  ASSERT_TRUE(t->commit(1));
  ASSERT_GT(p.depth(), 0);
  while (p.depth() > 0) ASSERT_TRUE(w.state.undo(p.sequence.index(), 1));
  EXPECT_TRUE(before == bytes());
  EXPECT_EQ(w.state.copied().forks, 0u);
  EXPECT_EQ(w.state.copied().landmarks, 0u);
}

TEST_P(Undo, DeeperThanKeptIsAnErrorThatSaysHowMuchIs) {
  World w(GetParam());
  Pair p(w);
  for (int i = 0; i < 30; ++i) p.all({i});
  const std::int64_t most = p.depth();
  ASSERT_LT(most, 30);
  const Status deeper = w.state.undo(p.sequence.index(), most + 1);
  ASSERT_FALSE(deeper);
  const std::string reason = deeper.error().reason;
  EXPECT_NE(reason.find("last " + std::to_string(most) + " are kept"), std::string::npos) << reason;
  EXPECT_NE(reason.find(to_string(GetParam().kind)), std::string::npos) << reason;
  EXPECT_EQ(w.state.position(p.sequence.index()), 30);
  EXPECT_FALSE(w.state.undo(p.sequence.index(), -1));
  // rewind() goes further back instead, and says where to.
  EXPECT_EQ(p.sequence.nearest(30 - most - 1), 0);
  EXPECT_EQ(p.rewind(30 - most - 1), 0);
  p.prove();
  EXPECT_FALSE(p.sequence.rewind(p.sequence.length() + 1));
  EXPECT_FALSE(p.sequence.rewind(-1));
}

// The rings of records and columns are met at every offset.
TEST_P(Undo, RingsWrap) {
  World w(GetParam());
  Pair p(w);
  const std::int64_t most = GetParam().depth;
  for (std::int32_t i = 0; i < 200; ++i) {
    const std::int64_t rows = 1 + i % most;
    ASSERT_NO_FATAL_FAILURE(p.pass(tokens(rows, i), rows - i % 3 % rows)) << i;
    if (i % 5 == 0) {
      ASSERT_NO_FATAL_FAILURE(p.pass(tokens(most, i), 0));
    }
    if (i % 7 == 0) p.rewind(p.sequence.length() - std::min<std::int64_t>(1, p.depth()));
  }
}

TEST_P(Undo, APassThatFailsBetweenLayersHasNeverHappened) {
  World w(GetParam());
  Pair p(w);
  p.all(tokens(5));
  for (std::int32_t i = 0; i < 60; ++i) {
    const std::int64_t rows = 1 + i % 9;
    {
      auto t = p.sequence.begin(rows, i % 2 == 0 ? 1 : rows);
      ASSERT_TRUE(t);
      ASSERT_TRUE(w.model.run({{p.sequence.index(), p.sequence.length(), tokens(rows, 70)}},
                              i % (toy_layers + 1)));
    }
    poison_unused(w.state);
    const std::int64_t next = 1 + i % GetParam().depth;
    ASSERT_NO_FATAL_FAILURE(p.pass(tokens(next, i), i % 4 == 0 ? 0 : next)) << i;
  }
}

TEST(RecurrentState, SnapshotsUndoSingleStepsAsDeepAsTheyAreMany) {
  World w(RecurrentPolicy::snapshots(5));
  Pair p(w);
  for (int i = 0; i < 30; ++i) p.all({i});
  EXPECT_EQ(p.depth(), 5);
}

TEST(RecurrentState, ReplayUndoesTheLastPassAndTheOneBefore) {
  World w(RecurrentPolicy::replay(8));
  Pair p(w);
  p.all(tokens(20), 1);
  p.all(tokens(6, 30));
  p.all(tokens(8, 40), 8);
  EXPECT_GE(p.depth(), 8 + 3);
}

TEST(RecurrentState, WhatCannotBeIsNamed) {
  const auto refused = [](RecurrentShape shape, RecurrentState::Options options, Code code,
                          const char* word) {
    const auto state = RecurrentState::create(shape, options);
    ASSERT_FALSE(state) << word;
    EXPECT_EQ(state.error().code, code);
    EXPECT_NE(std::string(state.error().reason).find(word), std::string::npos)
        << state.error().reason;
  };
  const auto with = [](auto change) {
    RecurrentShape shape = toy_shape;
    change(shape);
    return shape;
  };
  refused({}, {}, Code::invalid_argument, "layers");
  refused(with([](auto& s) { s.key_heads = 3, s.value_heads = 7; }), {}, Code::invalid_argument,
          "multiple of the 3 key heads, found 7");
  refused(with([](auto& s) { s.key_dim = 300; }), {}, Code::unsupported, "300");
  refused(with([](auto& s) { s.conv_width = 9; }), {}, Code::unsupported, "found 9");
  refused(with([](auto& s) { s.channels = 0; }), {}, Code::invalid_argument, "channels");
  refused(toy_shape, {.policy = RecurrentPolicy::snapshots(0)}, Code::invalid_argument, "found 0");
  refused(toy_shape, {.policy = {Kind::checkpoint, 4}}, Code::invalid_argument, "1..1, found 4");
  refused(toy_shape, {.sequences = 0}, Code::invalid_argument, "sequences");
  refused(toy_shape, {.landmarks = -1}, Code::invalid_argument, "-1");
  RecurrentShape huge = toy_shape;
  huge.layers = 4096;
  huge.value_heads = 65536;
  huge.key_dim = huge.value_dim = 256;
  refused(huge, {.sequences = 4096}, Code::out_of_memory, "bytes");

  auto cache = KvCache::create(1, 1, 4, {.positions = 64, .sequences = 3});
  auto few = RecurrentState::create(toy_shape, {.sequences = 2});
  ASSERT_TRUE(cache && few);
  EXPECT_FALSE(Sequence::create(*cache, &*few));
  EXPECT_FALSE(few->begin(0, 1, 1)) << "not in use";
  EXPECT_FALSE(few->begin(7, 1, 1));
  EXPECT_FALSE(few->rewind(-1, 0));
}

TEST(RecurrentState, RowsThatAreNotThePassAreNamed) {
  World w(RecurrentPolicy::snapshots(2));
  Pair p(w);
  p.all(tokens(4));
  const std::int32_t s = p.sequence.index();
  const auto reason = [&](const ToyRows& rows) {
    const auto y = w.model.run({rows});
    EXPECT_FALSE(y);
    return std::string(y ? "" : y.error().reason);
  };
  EXPECT_NE(reason({s, 4, {1}}).find("begun no pass"), std::string::npos);
  auto t = p.sequence.begin(3);
  EXPECT_NE(reason({s, 5, {1, 2, 3}}).find("position 4"), std::string::npos);
  EXPECT_NE(reason({s, 4, {1, 2}}).find("found 2"), std::string::npos);
  EXPECT_TRUE(w.model.run({{s, 4, {1, 2, 3}}}));
}

TEST(RecurrentState, TakesWhatItSays) {
  for (const RecurrentPolicy policy :
       {RecurrentPolicy::snapshots(3), RecurrentPolicy::replay(7), RecurrentPolicy::checkpoint()}) {
    const RecurrentState::Options options{.policy = policy, .sequences = 2, .landmarks = 3};
    const auto state = RecurrentState::create(toy_shape, options);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->bytes(), RecurrentState::bytes_needed(toy_shape, options));
    EXPECT_EQ(state->bytes(), 2 * policy.bytes(toy_shape) +
                                  3 * (toy_shape.plane_bytes() + 3 * toy_shape.column_bytes()));
  }
}

}  // namespace
}  // namespace kedge::tests
