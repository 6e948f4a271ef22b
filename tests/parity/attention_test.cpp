// Attention and its cache: every ISA against the reference, and the promise that bytes depend on a
// row's sequence and position alone, whatever shares the call, the workers or the pages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "attention_world.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/state/plain_attention.hpp"

namespace {

using namespace kedge;
using test::range;
using test::Row;
using test::Shape;
using test::World;

constexpr std::uint64_t seed = 20240607;
const std::vector<std::int32_t> contexts = {1, 63, 64, 65, 127, 200, 511, 512, 513, 1100};

std::vector<Cpu> backends(Executor* executor = nullptr) {
  std::vector<Cpu> list;
  for (const cpu::Isa isa : {cpu::Isa::scalar, cpu::Isa::avx2, cpu::Isa::avx512})
    if (cpu::isa_available(isa)) list.push_back(*Cpu::create({isa, executor}));
  return list;
}
Cpu best(Executor* executor = nullptr) { return *Cpu::create({cpu::Isa::best, executor}); }

std::string name(const Shape& s) {
  return std::to_string(s.heads) + "/" + std::to_string(s.kv_heads) + " heads of " +
         std::to_string(s.head_dim) + " " + to_string(s.cache) + ", seed " + std::to_string(seed);
}

std::vector<Shape> shapes() {
  std::vector<Shape> list;
  for (const Element cache : {Element::f16, Element::f32})
    for (const int head_dim : {8, 16, 64, 128})
      for (const int group : {1, 3, 4}) list.push_back({2 * group, 2, head_dim, cache});
  for (const Element cache : {Element::bf16, Element::q8_0})
    for (const int head_dim : {32, 64, 96}) list.push_back({6, 2, head_dim, cache});
  list.push_back({3, 1, 256, Element::q8_0});
  list.push_back({3, 1, 20, Element::bf16});
  for (const int head_dim : {20, 36, 100, 256}) list.push_back({3, 1, head_dim, Element::f16});
  return list;
}

std::vector<std::byte> bytes_of(Result<std::vector<std::byte>> result) {
  EXPECT_TRUE(result.has_value()) << result.error().reason;
  return result ? *std::move(result) : std::vector<std::byte>();
}
const float* floats(const std::vector<std::byte>& bytes) {
  return reinterpret_cast<const float*>(bytes.data());
}
std::vector<std::byte> slice(const std::vector<std::byte>& bytes, std::size_t row,
                             std::size_t rows) {
  const std::size_t one = bytes.size() / rows;
  return {bytes.begin() + std::ptrdiff_t(row * one),
          bytes.begin() + std::ptrdiff_t(row * one + one)};
}

// How far F32 may be from the reference at one row: with u = 2^-24 and A = max over heads and keys
// of scale * sum |q k|, a score is off by about sqrt(head_dim) u A; exp adds its argument's
// rounding and its own error, in the page and once per fold; the sum of 64 products adds sqrt(64)
// u. All of it relative to max |v|, times four for what is unlikely.
double tolerance(const World& world, Row row) {
  const Shape& s = world.shape();
  const std::vector<float> q = world.values(row, 0);
  double most = 0, largest_value = 0;
  for (std::int32_t j = 0; j <= row.position; ++j) {
    const std::vector<float> k = world.values({row.sequence, j}, 1);
    const std::vector<float> v = world.values({row.sequence, j}, 2);
    for (std::int32_t h = 0; h < s.heads; ++h) {
      double sum = 0;
      for (std::int32_t d = 0; d < s.head_dim; ++d)
        sum += std::fabs(double(q[std::size_t(h * s.head_dim + d)]) *
                         k[std::size_t(h / (s.heads / s.kv_heads) * s.head_dim + d)]);
      most = std::max(most, sum / std::sqrt(double(s.head_dim)));
    }
    for (const float x : v) largest_value = std::max(largest_value, std::fabs(double(x)));
  }
  const double u = std::ldexp(1.0, -24), folds = row.position / 64 + 1;
  const double score = std::sqrt(double(s.head_dim)) * u * most;
  const double weight = score + 2 * most * u + 8 * u;
  return 4 * largest_value * (2 * weight + std::sqrt(folds) * (2 * most * u + 8 * u) + 8 * u);
}

TEST(KvStore, EveryIsaWritesTheReferenceBytes) {
  for (const Shape& shape : shapes()) {
    World expected(shape, 2, 200, seed);
    std::vector<Row> rows = range(1, 0, 150);
    for (const Row row : range(0, 60, 71)) rows.insert(rows.begin() + row.position, row);
    ASSERT_TRUE(expected.store(rows));
    for (const Cpu& cpu : backends()) {
      World found(shape, 2, 200, seed);
      ASSERT_TRUE(found.store(rows, &cpu));
      EXPECT_EQ(std::memcmp(found.pool().data(), expected.pool().data(), found.pool().size()), 0)
          << name(shape) << ' ' << to_string(cpu.isa());
    }
  }
}

TEST(Attention, EveryIsaIsNearTheReferenceAndEqual) {
  for (const Shape& shape : shapes())
    for (const std::int32_t context : contexts) {
      World world(shape, 1, context, seed);
      ASSERT_TRUE(world.store(range(0, 0, context)));
      const std::vector<Row> rows = range(0, std::max(0, context - 3), context);
      const auto expected = bytes_of(world.attend(rows, nullptr));
      std::vector<std::byte> first;
      for (const Cpu& cpu : backends()) {
        const auto found = bytes_of(world.attend(rows, &cpu));
        if (first.empty()) first = found;
        ASSERT_EQ(found, first) << name(shape) << " context " << context << ' '
                                << to_string(cpu.isa());
      }
      const auto width = static_cast<std::size_t>(shape.heads * shape.head_dim);
      const double limit = tolerance(world, rows.back());  // the row with the most keys
      for (std::size_t r = 0; r < rows.size(); ++r)
        for (std::size_t i = r * width; i < (r + 1) * width; ++i)
          ASSERT_NEAR(floats(first)[i], floats(expected)[i], limit)
              << name(shape) << " context " << context << " row " << r << " value " << i % width;
    }
}

// Rows one by one, each stored just before it is attended to (all later positions are NaN), against
// 1..16, 17 and 40 rows in one call (their later positions are stored already).
TEST(Attention, RowsInOneCallEqualTokenByToken) {
  for (const Shape shape : {Shape{6, 2, 16, Element::f32}, Shape{9, 3, 64, Element::f16},
                            Shape{4, 1, 128, Element::f16}, Shape{2, 2, 20, Element::f32},
                            Shape{4, 2, 64, Element::q8_0}, Shape{3, 1, 32, Element::bf16}})
    for (const std::int32_t context : {1, 30, 63, 100, 490, 1060}) {
      for (const Cpu& cpu : backends()) {
        if (cpu.isa() == cpu::Isa::scalar && context > 500) continue;  // slow, and nothing new
        constexpr std::int32_t steps = 40;
        World world(shape, 1, context + steps, seed);
        ASSERT_TRUE(world.store(range(0, 0, context), &cpu));
        std::vector<std::vector<std::byte>> single;
        for (std::int32_t p = context; p < context + steps; ++p) {
          ASSERT_TRUE(world.store(range(0, p, p + 1), &cpu));
          single.push_back(bytes_of(world.attend(range(0, p, p + 1), &cpu)));
          ASSERT_FALSE(std::isnan(floats(single.back())[0]));
        }
        for (const std::int32_t count :
             {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 40}) {
          const auto together = bytes_of(world.attend(range(0, context, context + count), &cpu));
          for (std::size_t r = 0; r < static_cast<std::size_t>(count); ++r)
            ASSERT_EQ(slice(together, r, static_cast<std::size_t>(count)), single[r])
                << name(shape) << " context " << context << " rows " << count << " row " << r << ' '
                << to_string(cpu.isa());
        }
      }
    }
}

// Several sequences in a batch, in any order and on other pages, equal each sequence alone.
TEST(Attention, NeighboursAndPagesDoNotMatter) {
  for (const Shape shape : {Shape{6, 2, 64, Element::f16}, Shape{4, 4, 16, Element::f32},
                            Shape{6, 2, 32, Element::q8_0}, Shape{2, 2, 16, Element::bf16}}) {
    const Cpu cpu = best();
    const std::vector<std::int32_t> length = {5, 64, 130, 700};
    World world(shape, 4, 800, seed);
    World other(shape, 4, 800, seed);
    std::mt19937_64 rng(seed);
    std::shuffle(other.pages().begin(), other.pages().end(), rng);
    std::vector<Row> all;
    for (std::int32_t s = 0; s < 4; ++s) {
      const std::vector<Row> rows = range(s, 0, length[std::size_t(s)]);
      ASSERT_TRUE(world.store(rows, &cpu));
      ASSERT_TRUE(other.store(rows, &cpu));
      for (const Row row : range(s, length[std::size_t(s)] - 5, length[std::size_t(s)]))
        all.push_back(row);
    }
    for (int order = 0; order < 6; ++order) {
      std::vector<Row> batch(all.begin(), all.end());
      if (order > 0) std::shuffle(batch.begin(), batch.end(), rng);
      if (order > 3) batch.resize(16);  // the schedule for few rows
      const auto together = bytes_of(world.attend(batch, &cpu));
      ASSERT_EQ(together, bytes_of(other.attend(batch, &cpu)));
      for (std::size_t r = 0; r < batch.size(); ++r)
        ASSERT_EQ(slice(together, r, batch.size()), bytes_of(world.attend({batch[r]}, &cpu)))
            << name(shape) << " order " << order << " row " << r;
    }
  }
}

// One task at a time, last one first: legal for a host that only offers tasks.
class ReversedTasks final : public Executor {
 public:
  unsigned workers() const noexcept override { return 3; }
  bool co_scheduled() const noexcept override { return false; }
  Status gang(GangBody, void*) noexcept override {
    return fail(Code::unsupported, "executor", "no gang");
  }
  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    while (count > 0) body(context, --count);
    return {};
  }
};

TEST(Attention, WorkersDoNotMatter) {
  for (const Shape shape : {Shape{9, 3, 64, Element::f16}, Shape{4, 1, 16, Element::f32},
                            Shape{3, 1, 64, Element::q8_0}}) {
    World world(shape, 2, 700, seed);
    ASSERT_TRUE(world.store(range(0, 0, 700)));
    ASSERT_TRUE(world.store(range(1, 0, 77)));
    SerialExecutor serial;
    ReversedTasks reversed;
    std::vector<Executor*> executors = {&serial, &reversed};
    std::vector<std::unique_ptr<Executor>> pools;
    for (const unsigned workers : {1u, 2u, 3u}) {
      pools.push_back(*make_pool_executor(workers));
      executors.push_back(pools.back().get());
    }
    for (const std::int32_t count : {1, 8, 16, 17, 40, 120}) {
      std::vector<Row> rows = range(0, 700 - count, 700);
      rows.push_back({1, 76});
      const Cpu alone = best();
      const auto expected = bytes_of(world.attend(rows, &alone));
      for (Executor* executor : executors) {
        const Cpu cpu = best(executor);
        ASSERT_EQ(bytes_of(world.attend(rows, &cpu)), expected)
            << name(shape) << " rows " << count << " workers " << executor->workers();
      }
    }
  }
}

TEST(Attention, RoundedOutputIsTheRoundedF32Output) {
  for (const Shape shape : {Shape{6, 2, 64, Element::f16}, Shape{2, 1, 32, Element::f32},
                            Shape{4, 2, 32, Element::q8_0}})
    for (const std::int32_t count : {3, 20}) {
      World world(shape, 1, 300, seed);
      ASSERT_TRUE(world.store(range(0, 0, 300)));
      for (const Cpu& cpu : backends()) {
        const auto plain = bytes_of(world.attend(range(0, 300 - count, 300), &cpu));
        const auto rounded =
            bytes_of(world.attend(range(0, 300 - count, 300), &cpu, Element::q8_act));
        const std::size_t blocks = rounded.size() / sizeof(BlockQ8Act);
        ASSERT_EQ(blocks * 32 * sizeof(float), plain.size());
        for (std::size_t b = 0; b < blocks; ++b) {
          BlockQ8Act block;
          ref::round_block(floats(plain) + 32 * b, block);
          ASSERT_EQ(std::memcmp(&block, rounded.data() + b * sizeof block, sizeof block), 0)
              << name(shape) << " block " << b << ' ' << to_string(cpu.isa());
        }
      }
    }
}

// Rows that `hit` names have NaN in every value (where that is expected), the others clean's bytes.
template <class Edit, class Hit>
void expect_nan_only(const World& clean, const World& world, const std::vector<Row>& rows,
                     const Cpu& cpu, Edit edit, Hit hit, bool nan) {
  const auto expected = bytes_of(clean.attend(rows, &cpu));
  const auto found = bytes_of(world.attend(rows, &cpu, Element::f32, edit));
  const std::size_t width = found.size() / sizeof(float) / rows.size();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const float* y = floats(found) + r * width;
    const bool as_clean = std::memcmp(y, floats(expected) + r * width, width * sizeof(float)) == 0;
    const bool all_nan = std::all_of(y, y + width, [](float x) { return std::isnan(x); });
    ASSERT_TRUE(hit(rows[r]) ? all_nan || !nan : as_clean)
        << name(world.shape()) << " position " << rows[r].position << ' ' << to_string(cpu.isa());
  }
}

// NaN in q, or in an attended key or value, is never lost; in a later position it changes nothing.
TEST(Attention, NanReachesItsOwnRowsAndNoOthers) {
  const float bad[] = {std::nanf(""), HUGE_VALF};
  for (const Shape shape : {Shape{4, 2, 64, Element::f16}, Shape{3, 1, 16, Element::f32},
                            Shape{4, 2, 64, Element::q8_0}, Shape{3, 1, 16, Element::bf16}})
    for (const std::int32_t at : {0, 10, 63, 64, 100})
      for (const int kind : {0, 1, 2})
        for (const float value : bad) {
          const auto edit = [&](Row row, int k, std::vector<float>& x) {
            if (row.position == at && k == kind) std::fill(x.begin(), x.end(), value);
          };
          constexpr std::int32_t length = 130;
          World clean(shape, 1, length, seed), world(shape, 1, length, seed);
          ASSERT_TRUE(clean.store(range(0, 0, length)));
          ASSERT_TRUE(world.store(range(0, 0, length), nullptr, edit));
          for (const Cpu& cpu : backends())
            for (const std::int32_t first : {0, length - 16})  // both schedules
              expect_nan_only(
                  clean, world, range(0, first, length), cpu, edit,
                  [&](Row row) { return kind == 0 ? row.position == at : row.position >= at; },
                  std::isnan(value));
        }
}

TEST(Attention, TilesAreConsecutiveRowsOfOneSequence) {
  const std::vector<std::int32_t> position = {4, 5, 6, 0, 9, 7}, sequence = {2, 2, 2, 0, 2, 2};
  std::vector<op::Attention::Tile> memory(4);
  const Tensor tiles = tensor(memory.data(), Element::i32, 4, 4);
  ASSERT_TRUE(op::fill_attention_tiles(position.data(), sequence.data(), 6, tiles));
  EXPECT_EQ(tiles.as<op::Attention::TileHeader>()->count, 3);
  EXPECT_EQ(tiles.as<op::Attention::TileHeader>()->rows, 6);
  const op::Attention::Tile expected[] = {{0, 3, 2, 7}, {3, 1, 0, 1}, {4, 2, 2, 10}};
  EXPECT_EQ(std::memcmp(&memory[1], expected, sizeof expected), 0);
  const Tensor small = tensor(memory.data(), Element::i32, 3, 4);
  const Status status = op::fill_attention_tiles(position.data(), sequence.data(), 6, small);
  ASSERT_FALSE(status);
  EXPECT_NE(std::string(status.error().reason).find("room"), std::string::npos);
}

TEST(Attention, SplitsDependOnThePositionAlone) {
  EXPECT_EQ(split_count(1), 1);
  EXPECT_EQ(split_count(64), 1);
  EXPECT_EQ(split_count(65), 2);
  EXPECT_EQ(split_count(512), 8);
  EXPECT_EQ(split_count(513), 9);
  EXPECT_EQ(split_count(1024), 9);
  EXPECT_EQ(split_count(1025), 10);
  for (std::int64_t split = 0; split < 40; ++split) {
    EXPECT_EQ(split_of_page(first_page_of_split(split)), split);
    EXPECT_EQ(split_of_page(first_page_of_split(split + 1) - 1), split);
  }
}

TEST(KvStore, Q8_0WantsWholeBlocksAndKnownElements) {
  for (const auto& [element, head_dim, text] :
       {std::tuple{Element::q8_0, 48, "divisible by 32, found 48"},
        std::tuple{Element::q4_0, 64, "f32, f16, bf16 or q8_0, found q4_0"}}) {
    const Status status = op::expect_cache_element("kv_store", element, head_dim);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::unsupported);
    EXPECT_NE(std::string(status.error().reason).find(text), std::string::npos)
        << status.error().reason;
  }
  const KvPageLayout f16{Element::f16, 3, 64, 2}, q8{Element::q8_0, 3, 64, 2};
  EXPECT_EQ(q8.bytes_per_position() * 32, f16.bytes_per_position() * 17);  // 34 bytes for 64
}

TEST(Attention, PlainTensorsEqualThePagedWay) {
  const Shape shape{6, 2, 16, Element::f32};
  World world(shape, 1, 150, seed);
  ASSERT_TRUE(world.store(range(0, 0, 150)));
  const Cpu cpu = best();
  std::vector<float> q, k, v;
  for (const Row row : range(0, 0, 150)) {
    if (row.position >= 140)
      for (const float x : world.values(row, 0)) q.push_back(x);
    for (const float x : world.values(row, 1)) k.push_back(x);
    for (const float x : world.values(row, 2)) v.push_back(x);
  }
  auto plain = make_plain_attention(tensor(q.data(), Element::f32, 10, 96),
                                    tensor(k.data(), Element::f32, 150, 32),
                                    tensor(v.data(), Element::f32, 150, 32), {6, 2});
  ASSERT_TRUE(plain) << plain.error().reason;
  ASSERT_TRUE(cpu.run<op::Attention>(plain->args, 10));
  const auto expected = bytes_of(world.attend(range(0, 140, 150), &cpu));
  ASSERT_EQ(plain->args.y.bytes(), expected.size());
  EXPECT_EQ(std::memcmp(plain->args.y.data, expected.data(), expected.size()), 0);

  const auto wrong = make_plain_attention(tensor(q.data(), Element::f32, 10, 96),
                                          tensor(k.data(), Element::f32, 150, 32),
                                          tensor(v.data(), Element::f32, 150, 32), {6, 4});
  ASSERT_FALSE(wrong);
  EXPECT_NE(std::string(wrong.error().reason).find("k: expected 150 x 64, found 150 x 32"),
            std::string::npos)
      << wrong.error().reason;
}

}  // namespace
