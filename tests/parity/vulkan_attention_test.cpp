// Attention and its cache on a Vulkan device: the cache's bytes are the reference's, and a row's
// bytes depend on its sequence and position alone, whatever shares the call or the device's form of
// reductions.
#define KEDGE_TEST_VULKAN 1
#include <gtest/gtest.h>

#include <cmath>

#include "attention_world.hpp"

namespace {

using namespace kedge;
using test::range;
using test::Row;
using test::Shape;
using test::World;

constexpr std::uint64_t seed = 20240607;

std::vector<std::byte> bytes_of(Result<std::vector<std::byte>> result) {
  EXPECT_TRUE(result.has_value()) << result.error().reason;
  return result ? *std::move(result) : std::vector<std::byte>();
}
std::vector<std::byte> slice(const std::vector<std::byte>& bytes, std::size_t row,
                             std::size_t rows) {
  const std::size_t one = bytes.size() / rows;
  return {bytes.begin() + std::ptrdiff_t(row * one),
          bytes.begin() + std::ptrdiff_t(row * one + one)};
}

class VulkanState : public ::testing::Test {
 protected:
  void SetUp() override {
    if (tests::tested_devices().empty()) GTEST_SKIP() << "no Vulkan device";
  }
};

TEST_F(VulkanState, KvStoreWritesTheReferenceBytes) {
  for (const Shape& shape : {Shape{2, 2, 20, Element::f32}, Shape{3, 3, 64, Element::f16},
                             Shape{1, 1, 36, Element::f16}, Shape{2, 2, 96, Element::bf16},
                             Shape{2, 2, 64, Element::q8_0}, Shape{1, 1, 256, Element::q8_0}}) {
    // Some rows whose rounding is special: nothing but zeros, tiny, huge, not finite.
    const float special[] = {0.0f,     1e-39f, 3e-8f,     6.0e-5f, 65519.0f,
                             65520.0f, 3e38f,  HUGE_VALF, NAN};
    const auto edit = [&](Row row, int, std::vector<float>& x) {
      if (row.position < 9)
        for (std::size_t i = 0; i < x.size(); i += 3) x[i] = special[row.position];
      if (row.position == 9)
        for (float& value : x) value *= 1e-36f;
    };
    World expected(shape, 2, 200, seed);
    std::vector<Row> rows = range(1, 0, 150);
    for (const Row row : range(0, 60, 71)) rows.insert(rows.begin() + row.position, row);
    ASSERT_TRUE(expected.store(rows, nullptr, edit));
    for (const tests::TestedKind kind : tests::tested_kinds()) {
      World found(shape, 2, 200, seed);
      const Status stored = found.store(rows, &tests::make_tested(kind), edit);
      ASSERT_TRUE(stored) << stored.error().reason;
      EXPECT_EQ(std::memcmp(found.pool().data(), expected.pool().data(), found.pool().size()), 0)
          << to_string(shape.cache) << " heads of " << shape.head_dim;
    }
  }
}

// Rows one by one, each stored just before it is attended to (all later positions are NaN), against
// 2..16, 17 and 40 rows in one call (their later positions are stored already).
TEST_F(VulkanState, RowsInOneCallEqualTokenByToken) {
  for (const Shape shape : {Shape{6, 2, 16, Element::f32}, Shape{9, 3, 64, Element::f16},
                            Shape{4, 1, 128, Element::q8_0}, Shape{2, 2, 20, Element::bf16},
                            Shape{4, 1, 256, Element::f16}})
    for (const std::int32_t context : {1, 490, 1060}) {
      std::vector<std::vector<std::byte>> single;
      for (const tests::TestedKind kind : tests::tested_kinds()) {
        const Vulkan& vulkan = tests::make_tested(kind);
        constexpr std::int32_t steps = 40;
        World world(shape, 1, context + steps, seed);
        ASSERT_TRUE(world.store(range(0, 0, context)));
        for (std::int32_t p = context; p < context + steps; ++p) {
          ASSERT_TRUE(world.store(range(0, p, p + 1)));
          const auto y = bytes_of(world.attend(range(0, p, p + 1), &vulkan));
          const auto at = static_cast<std::size_t>(p - context);
          if (kind == tests::TestedKind::shared) single.push_back(y);
          else ASSERT_EQ(y, single[at]) << "forms of reductions differ";
          ASSERT_FALSE(std::isnan(reinterpret_cast<const float*>(y.data())[0]));
        }
        for (const std::int32_t count : {2, 3, 5, 8, 9, 16, 17, 40}) {
          const auto together = bytes_of(world.attend(range(0, context, context + count), &vulkan));
          for (std::size_t r = 0; r < static_cast<std::size_t>(count); ++r)
            ASSERT_EQ(slice(together, r, static_cast<std::size_t>(count)), single[r])
                << to_string(shape.cache) << " heads of " << shape.head_dim << " context "
                << context << " rows " << count << " row " << r << ' ' << to_string(kind);
        }
      }
    }
}

// Several sequences in a batch, in any order, equal each sequence alone.
TEST_F(VulkanState, NeighboursDoNotMatter) {
  for (const Shape shape : {Shape{6, 2, 64, Element::f16}, Shape{2, 2, 16, Element::bf16}})
    for (const tests::TestedKind kind : tests::tested_kinds()) {
      const Vulkan& vulkan = tests::make_tested(kind);
      const std::vector<std::int32_t> length = {5, 64, 130, 700};
      World world(shape, 4, 800, seed);
      std::mt19937_64 rng(seed);
      std::vector<Row> all;
      for (std::int32_t s = 0; s < 4; ++s) {
        ASSERT_TRUE(world.store(range(s, 0, length[std::size_t(s)])));
        for (const Row row : range(s, length[std::size_t(s)] - 5, length[std::size_t(s)]))
          all.push_back(row);
      }
      for (int order = 0; order < 4; ++order) {
        std::vector<Row> batch(all.begin(), all.end());
        if (order > 0) std::shuffle(batch.begin(), batch.end(), rng);
        if (order > 2) batch.resize(16);  // the schedule for few rows
        const auto together = bytes_of(world.attend(batch, &vulkan));
        for (std::size_t r = 0; r < batch.size(); ++r)
          ASSERT_EQ(slice(together, r, batch.size()), bytes_of(world.attend({batch[r]}, &vulkan)))
              << "order " << order << " row " << r;
      }
    }
}

}  // namespace
