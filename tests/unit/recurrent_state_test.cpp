// What is kept of a recurrent state and how it is gone back to, under every policy, against a toy
// model that remembers everything.
#include "kedge/state/recurrent_state.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>

#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "unit/recurrent_toy.hpp"

namespace kedge::tests {
namespace {

using Kind = RecurrentPolicy::Kind;

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

std::vector<std::int32_t> tokens(std::int64_t count, std::int32_t first = 1) {
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

class EveryPolicy : public ::testing::TestWithParam<RecurrentPolicy> {
 protected:
  bool records() const { return GetParam().kind == Kind::replay; }
};

TEST_P(EveryPolicy, AnySplitOfTheRowsIsTheSameText) {
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
TEST_P(EveryPolicy, SaysWhatCanBeCommitted) {
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

TEST_P(EveryPolicy, AWholeCallIsUndone) {
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
TEST_P(EveryPolicy, CallsAreUndoneOneByOne) {
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

TEST_P(EveryPolicy, SingleTokenStepsAreUndone) {
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

TEST_P(EveryPolicy, NothingDraftedAndNothingAccepted) {
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

TEST_P(EveryPolicy, UndoMovesNoByte) {
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

TEST_P(EveryPolicy, DeeperThanKeptIsAnErrorThatSaysHowMuchIs) {
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
TEST_P(EveryPolicy, RingsWrap) {
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

TEST_P(EveryPolicy, APassThatFailsBetweenLayersHasNeverHappened) {
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

TEST_P(EveryPolicy, TwoSequencesInOnePassWithDifferentRows) {
  World w(GetParam());
  Pair a(w), b(w);
  a.all(tokens(3));
  b.all(tokens(8, 20));
  for (std::int32_t i = 0; i < 40; ++i) {
    const std::int64_t rows_a = 1 + i % 4, rows_b = 1 + i % 7;
    const std::vector<std::int32_t> ta = tokens(rows_a, i), tb = tokens(rows_b, 60 + i);
    auto one = a.sequence.begin(rows_a), two = b.sequence.begin(rows_b);
    ASSERT_TRUE(one && two);
    const auto y = w.model.run({{b.sequence.index(), b.sequence.length(), tb},
                                {a.sequence.index(), a.sequence.length(), ta}});
    ASSERT_TRUE(y) << y.error().reason;
    const std::int64_t la = a.text.length(), lb = b.text.length();
    for (std::int64_t r = 0; r < rows_b; ++r)
      ASSERT_EQ(b.text.push(tb[static_cast<std::size_t>(r)]), (*y)[static_cast<std::size_t>(r)]);
    for (std::int64_t r = 0; r < rows_a; ++r)
      ASSERT_EQ(a.text.push(ta[static_cast<std::size_t>(r)]),
                (*y)[static_cast<std::size_t>(rows_b + r)]);
    const std::int64_t na = one->can_commit(rows_a - 1) ? rows_a - 1 : rows_a;
    const std::int64_t nb = i % 3 == 0 ? 0 : rows_b;
    ASSERT_TRUE(one->commit(na) && two->commit(nb));
    a.text.truncate(la + na);
    b.text.truncate(lb + nb);
    poison_unused(w.state);
  }
  a.prove();
  b.prove();
}

TEST_P(EveryPolicy, AForkHasAllThatIsKeptAndOnlyItsRingsAreCopied) {
  World w(GetParam());
  Pair a(w);
  a.all(tokens(10), 1);
  a.pass(tokens(GetParam().depth, 80), 1 + GetParam().depth / 2 * (GetParam().depth > 1 ? 1 : 0));
  const std::int64_t free_planes = w.state.free_planes(), depth = a.depth();
  const std::vector<std::byte> planes(w.state.memory().begin(), w.state.memory().end());
  auto forked = a.sequence.fork();
  ASSERT_TRUE(forked);
  Pair b(w, *std::move(forked), a.text);
  EXPECT_EQ(w.state.free_planes(), free_planes);
  EXPECT_TRUE(std::equal(planes.begin(), planes.end(), w.state.memory().begin()));
  const std::uint64_t ring =
      static_cast<std::uint64_t>(w.state.window_slots()) * toy_shape.column_bytes() +
      static_cast<std::uint64_t>(w.state.record_slots()) * toy_shape.record_bytes();
  EXPECT_GT(w.state.copied().forks, 0u);
  EXPECT_LE(w.state.copied().forks, ring);
  EXPECT_EQ(b.depth(), depth);
  b.all({1, 2, 3});
  a.all({4});
  auto again = b.sequence.fork();
  ASSERT_TRUE(again);
  Pair c(w, *std::move(again), b.text);
  b.prove();
  c.rewind(c.sequence.length() - c.depth());
  c.prove();
  a.prove();
  b.sequence = Sequence();
  a.rewind(0);
  c.prove();
  a.prove();
  EXPECT_FALSE(w.state.claim(c.sequence.index())) << "it is in use";
  for (Pair* p : {&a, &b, &c}) p->sequence = Sequence();
  EXPECT_EQ(w.state.free_planes(), w.state.planes());
}

TEST_P(EveryPolicy, LandmarksStayAndGrowApart) {
  World w(GetParam(), 2, 4);
  Pair p(w);
  const std::int32_t s = p.sequence.index();
  for (int i = 1; i <= 40; ++i) {
    p.all(tokens(8, i), 1);
    ASSERT_TRUE(w.state.mark(s, 8 * i));
    ASSERT_TRUE(w.state.mark(s, 8 * i)) << "it is one already";
    ASSERT_EQ(w.state.landmarks(s), std::min(4, i));
  }
  EXPECT_FALSE(w.state.mark(s, 317)) << "its state is not kept";
  EXPECT_FALSE(w.state.mark(s, 0)) << "position 0 needs none";
  // They cover the text: nowhere is it far to one.
  std::int64_t before = 0, widest = 0;
  for (std::int64_t i = 0; i < 4; ++i) {
    widest = std::max(widest, w.state.landmark(s, i) - before);
    before = w.state.landmark(s, i);
  }
  EXPECT_EQ(before, 320);
  EXPECT_LE(widest, 160);
  // Decoding moves on; an edit goes back to the nearest.
  for (int i = 0; i < 30; ++i) p.all({i});
  const std::int64_t third = w.state.landmark(s, 2);
  const std::uint64_t copied = w.state.copied().landmarks;
  EXPECT_EQ(p.rewind(third + 7), third);
  EXPECT_EQ(w.state.copied().landmarks - copied, 3 * toy_shape.column_bytes());
  EXPECT_EQ(w.state.landmarks(s), 3);
  p.all({5, 6, 7}, 3);
  p.prove();
  const std::int64_t first = w.state.landmark(s, 0);
  EXPECT_EQ(p.rewind(first), first);
  p.prove();
  EXPECT_EQ(p.rewind(first - 1), 0);
  p.prove();
}

TEST_P(EveryPolicy, ForksShareLandmarks) {
  World w(GetParam(), 3, 3);
  Pair a(w);
  a.all(tokens(10), 1);
  a.sequence.mark(10);
  a.all(tokens(10, 30), 1);
  a.sequence.mark(20);
  auto forked = a.sequence.fork();
  ASSERT_TRUE(forked);
  Pair b(w, *std::move(forked), a.text);
  for (int i = 0; i < 20; ++i) a.all({i});
  a.sequence.mark(a.sequence.length());
  EXPECT_EQ(w.state.landmarks(a.sequence.index()), 3);
  // No room: giving up one that b has too would free nothing, so b has only these.
  for (int i = 0; i < 20; ++i) b.all({40 + i});
  b.sequence.mark(b.sequence.length());
  EXPECT_EQ(w.state.landmarks(b.sequence.index()), 2);
  EXPECT_EQ(b.rewind(15), 10);
  EXPECT_EQ(a.rewind(21), 20);
  a.prove();
  b.prove();
  a.sequence = Sequence();
  EXPECT_EQ(b.rewind(10), 10);
  b.prove();
  b.sequence = Sequence();
  EXPECT_EQ(w.state.free_planes(), w.state.planes());
}

// Saved under one policy, it goes on under any other.
TEST_P(EveryPolicy, SavedItIsTheSameUnderEveryPolicy) {
  for (const std::int64_t length : {0, 1, 2, 3, 4, 50}) {
    World w(GetParam());
    Pair p(w);
    if (length > 1) p.all(tokens(length / 2), 1);
    // The last of them under replay as records.
    p.all(tokens(length - length / 2 * (length > 1 ? 1 : 0), 9));
    std::vector<std::byte> bytes;
    auto sink = io::Sink::memory(bytes);
    ASSERT_TRUE(p.sequence.save(sink, 77));
    for (const RecurrentPolicy other : {RecurrentPolicy::snapshots(3), RecurrentPolicy::replay(6),
                                        RecurrentPolicy::checkpoint()}) {
      World to(other, 2, 1);
      Pair q(to, to.sequence(), {});
      q.all(tokens(33, 50), 1);
      q.sequence.mark(33);
      const auto end = q.sequence.load(io::Source::memory(bytes, "file"), 0, 77);
      ASSERT_TRUE(end) << end.error().reason;
      EXPECT_EQ(*end, bytes.size());
      EXPECT_EQ(q.sequence.length(), length);
      EXPECT_EQ(to.state.landmarks(q.sequence.index()), 0) << "of another text";
      std::vector<std::byte> again;
      auto second = io::Sink::memory(again);
      ASSERT_TRUE(q.sequence.save(second, 77));
      EXPECT_EQ(again, bytes);
      q.text = p.text;
      poison_unused(to.state);
      q.prove();
      // Cut short or changed, it changes nothing.
      for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 7) {
        const auto refused =
            q.sequence.load(io::Source::memory(std::span(bytes).first(size), "file"), 0, 77);
        ASSERT_FALSE(refused) << size;
      }
      for (std::size_t i = 0; i < bytes.size(); i += 1 + i / 7) {
        auto changed = bytes;
        changed[i] ^= std::byte{16};
        ASSERT_FALSE(q.sequence.load(io::Source::memory(changed, "file"), 0, 77)) << i;
      }
      q.prove();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    State, EveryPolicy,
    ::testing::Values(RecurrentPolicy::snapshots(1), RecurrentPolicy::snapshots(2),
                      RecurrentPolicy::snapshots(4), RecurrentPolicy::snapshots(8),
                      RecurrentPolicy::replay(1), RecurrentPolicy::replay(2),
                      RecurrentPolicy::replay(4), RecurrentPolicy::replay(8),
                      RecurrentPolicy::checkpoint()),
    [](const auto& instance) {
      return std::string(to_string(instance.param.kind)) + std::to_string(instance.param.depth);
    });

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
