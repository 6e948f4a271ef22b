// Attention over trees: every row has the bytes of the run in which its branch alone is the text.
#include <gtest/gtest.h>

#include <random>

#include "attention_world.hpp"

namespace {

using namespace kedge;
using test::range;
using test::Row;
using test::Shape;
using test::World;

// The content of a row is that of a row of another, imagined sequence: position p of the committed
// text that of (100, p), node r of a tree that of (101, r).
using Contents = std::vector<Row>;

struct Edit {
  const World& world;
  const Contents& contents;
  std::size_t next[3] = {0, 0, 0};
  void operator()(Row, int kind, std::vector<float>& x) {
    x = world.values(contents[next[kind]++], kind);
  }
};

Contents committed(std::int32_t count) { return range(100, 0, count); }

// Node 0 is the newest token, every other one stands behind an earlier one.
std::vector<std::int32_t> random_tree(std::mt19937_64& rng, std::int32_t nodes) {
  std::vector<std::int32_t> parent = {-1};
  for (std::int32_t r = 1; r < nodes; ++r) {
    const auto back = static_cast<std::int32_t>(rng() % 4);
    parent.push_back(back == 0 ? static_cast<std::int32_t>(rng() % static_cast<unsigned>(r))
                               : std::max(0, r - back));
  }
  return parent;
}

struct Tree {
  Contents contents;        // of the nodes
  std::vector<Row> rows;    // where they are in the text
  std::vector<Row> stored;  // and in the cache
  World::Branches branches;
};

Tree make_tree(std::int32_t sequence, std::int32_t base, const std::vector<std::int32_t>& parent) {
  Tree tree;
  tree.branches.parent = parent;
  for (std::size_t r = 0; r < parent.size(); ++r) {
    const auto number = static_cast<std::int32_t>(r);
    const std::int32_t position =
        parent[r] < 0 ? base : tree.rows[static_cast<std::size_t>(parent[r])].position + 1;
    tree.contents.push_back({101, number});
    tree.rows.push_back({sequence, position});
    tree.stored.push_back({sequence, base + number});
    tree.branches.slot.push_back(base + number);
  }
  return tree;
}

// The y of node r when its branch is all there is: sequence 1, rows one after the other.
std::vector<std::byte> linear(World& world, const tests::Tested* cpu, std::int32_t base,
                              const Tree& tree, std::int32_t r) {
  Contents path;
  for (std::int32_t n = r; n >= 0; n = tree.branches.parent[static_cast<std::size_t>(n)])
    path.insert(path.begin(), tree.contents[static_cast<std::size_t>(n)]);
  const auto end = base + static_cast<std::int32_t>(path.size());
  EXPECT_TRUE(world.store(range(1, base, end), nullptr, Edit{world, path}));
  const Contents last = {path.back()};
  auto y = world.attend({{1, end - 1}}, cpu, Element::f32, Edit{world, last});
  EXPECT_TRUE(y) << y.error().reason;
  return *y;
}

class AttentionTree : public testing::TestWithParam<Shape> {};

TEST_P(AttentionTree, EveryRowHasTheBytesOfItsBranch) {
  const Shape shape = GetParam();
  std::mt19937_64 rng(20261123);
  for (const std::int32_t base : {0, 40, 64, 127, 520}) {
    World world(shape, 2, 640, 7);
    const Contents text = committed(base);
    for (const std::int32_t sequence : {0, 1})
      if (base > 0) {
        ASSERT_TRUE(world.store(range(sequence, 0, base), nullptr, Edit{world, text}));
      }
    for (const std::int32_t nodes : {1, 5, 17, 31}) {
      const Tree tree = make_tree(0, base, random_tree(rng, nodes));
      ASSERT_TRUE(world.store(tree.stored, nullptr, Edit{world, tree.contents}));
      for (const tests::TestedKind kind : tests::tested_kinds()) {
        const tests::Tested& cpu = tests::make_tested(kind);
        const auto all =
            world.attend(tree.rows, &cpu, Element::f32, Edit{world, tree.contents}, &tree.branches);
        ASSERT_TRUE(all) << all.error().reason;
        const std::size_t one = all->size() / static_cast<std::size_t>(nodes);
        for (std::int32_t r = 0; r < nodes; ++r) {
          const auto alone = linear(world, &cpu, base, tree, r);
          ASSERT_EQ(std::memcmp(all->data() + static_cast<std::size_t>(r) * one, alone.data(), one),
                    0)
              << "node " << r << " of " << nodes << " behind " << base << ", " << to_string(kind);
        }
      }
      const auto reference = world.attend(tree.rows, nullptr, Element::f32,
                                          Edit{world, tree.contents}, &tree.branches);
      ASSERT_TRUE(reference);
      const std::int32_t leaf = nodes - 1;
      EXPECT_EQ(
          0, std::memcmp(reference->data() + reference->size() / static_cast<std::size_t>(nodes) *
                                                 static_cast<std::size_t>(leaf),
                         linear(world, nullptr, base, tree, leaf).data(),
                         reference->size() / static_cast<std::size_t>(nodes)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTree,
                         testing::Values(Shape{4, 2, 64, Element::f16},
                                         Shape{3, 1, 20, Element::f32},
                                         Shape{6, 2, 32, Element::bf16},
                                         Shape{6, 2, 64, Element::q8_0},
                                         Shape{2, 1, 256, Element::f32}));

}  // namespace
