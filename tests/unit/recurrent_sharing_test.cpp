// Recurrent states of several sequences, under every policy: in one pass, forked, with landmarks,
// saved and loaded.
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "unit/recurrent_world.hpp"

namespace kedge::tests {
namespace {

using Kind = RecurrentPolicy::Kind;

class Sharing : public UnderPolicy {};
INSTANTIATE_TEST_SUITE_P(State, Sharing, every_policy(), policy_name);

TEST_P(Sharing, TwoSequencesInOnePassWithDifferentRows) {
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

TEST_P(Sharing, AForkHasAllThatIsKeptAndOnlyItsRingsAreCopied) {
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

TEST_P(Sharing, LandmarksStayAndGrowApart) {
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

TEST_P(Sharing, ForksShareLandmarks) {
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
TEST_P(Sharing, SavedItIsTheSameUnderSharing) {
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

}  // namespace
}  // namespace kedge::tests
