// A small world for tests of attention: sequences of random keys and values whose pages lie
// shuffled in a pool full of NaN. A row is (sequence, position); its q, k and v depend on those two
// alone, so any set of rows may be stored and attended to in any batch.
#pragma once

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/ref/attention.hpp"
#include "kedge/kernel/ref/kv_store.hpp"
#include "support/tested_backend.hpp"

namespace kedge::test {

struct Shape {
  std::int32_t heads, kv_heads, head_dim;
  Element cache = Element::f16;
};

struct Row {
  std::int32_t sequence, position;
};

inline std::vector<Row> range(std::int32_t sequence, std::int32_t first, std::int32_t last) {
  std::vector<Row> rows;
  for (std::int32_t p = first; p < last; ++p) rows.push_back({sequence, p});
  return rows;
}

class World {
 public:
  World(Shape shape, std::int32_t sequences, std::int32_t max_positions, std::uint64_t seed)
      : shape_(shape), seed_(seed), layout_{shape.cache, shape.kv_heads, shape.head_dim, 2} {
    const std::int64_t max_pages = (max_positions + 63) / 64;
    const std::int64_t physical = sequences * max_pages + 1;
    std::vector<std::int32_t> order(static_cast<std::size_t>(physical));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
    std::mt19937_64 rng(seed);
    std::shuffle(order.begin(), order.end(), rng);
    pages_.assign(order.begin(), order.end() - 1);
    page_table_ = tensor(pages_.data(), Element::i32, sequences, max_pages);
    pool_ = *Buffer::create(layout_.pool_bytes(physical), "pool");
    std::memset(pool_.data(), 0xFF, pool_.size());  // NaN in f16 and f32
    cache_ = layout_.cache(pool_.data(), physical, 1);
  }

  const KvPageLayout& layout() const { return layout_; }
  const Shape& shape() const { return shape_; }
  const Buffer& pool() const { return pool_; }
  std::vector<std::int32_t>& pages() { return pages_; }

  // Values of one row of q (kind 0), k (1) or v (2).
  std::vector<float> values(Row row, int kind) const {
    std::vector<float> x(
        static_cast<std::size_t>((kind == 0 ? shape_.heads : shape_.kv_heads) * shape_.head_dim));
    std::mt19937_64 rng(seed_ * 1000003 + static_cast<std::uint64_t>(row.sequence) * 65537 * 3 +
                        static_cast<std::uint64_t>(row.position) * 3 +
                        static_cast<std::uint64_t>(kind));
    std::normal_distribution<float> normal(0.0f, kind == 0 ? 1.5f : 1.0f);
    for (float& value : x) value = normal(rng);
    return x;
  }

  // Stores k and v of the rows with the reference, or with a CPU backend. `edit` may change a value
  // that `values` gave: edit(row, kind, values).
  template <class Edit>
  Status store(const std::vector<Row>& rows, const tests::Tested* cpu, Edit edit) {
    std::vector<float> k = gather(rows, 1, edit), v = gather(rows, 2, edit);
    std::vector<std::int32_t> position, sequence;
    indices(rows, position, sequence);
    const auto count = static_cast<std::int64_t>(rows.size());
    op::KvStore::Args a;
    a.k = tensor(k.data(), Element::f32, count, shape_.kv_heads * shape_.head_dim);
    a.v = tensor(v.data(), Element::f32, count, shape_.kv_heads * shape_.head_dim);
    a.position = tensor(position.data(), Element::i32, count);
    a.sequence = tensor(sequence.data(), Element::i32, count);
    a.pages = page_table_;
    a.cache = cache_;
    a.kv_heads = shape_.kv_heads;
    a.head_dim = shape_.head_dim;
    return cpu == nullptr ? Reference::run<op::KvStore>(a) : cpu->run<op::KvStore>(a, count);
  }
  Status store(const std::vector<Row>& rows, const tests::Tested* cpu = nullptr) {
    return store(rows, cpu, [](Row, int, std::vector<float>&) {});
  }

  // Rows that form trees: op::Attention's arguments.
  struct Branches {
    std::vector<std::int32_t> slot, parent;
  };
  // y of the rows as bytes, from the CPU backend or the reference.
  template <class Edit>
  Result<std::vector<std::byte>> attend(const std::vector<Row>& rows, const tests::Tested* cpu,
                                        Element output, Edit edit,
                                        const Branches* branches = nullptr) const {
    std::vector<float> q = gather(rows, 0, edit);
    std::vector<std::int32_t> position, sequence;
    indices(rows, position, sequence);
    const auto count = static_cast<std::int64_t>(rows.size());
    op::Attention::Args a;
    a.q = tensor(q.data(), Element::f32, count, shape_.heads * shape_.head_dim);
    a.position = tensor(position.data(), Element::i32, count);
    a.sequence = tensor(sequence.data(), Element::i32, count);
    a.pages = page_table_;
    a.cache = cache_;
    a.heads = shape_.heads;
    a.kv_heads = shape_.kv_heads;
    a.head_dim = shape_.head_dim;
    a.y = tensor(nullptr, output, count, a.q.width());
    std::vector<std::int32_t> tiles(static_cast<std::size_t>(4 * (1 + count)), -1);
    a.tiles = tensor(tiles.data(), Element::i32, 1 + count, 4);
    Branches tree;
    if (branches != nullptr) {
      tree = *branches;
      a.slot = tensor(tree.slot.data(), Element::i32, count);
      a.parent = tensor(tree.parent.data(), Element::i32, count);
    }
    KEDGE_CHECK(op::fill_attention_tiles(position.data(), sequence.data(), count, a.tiles,
                                         a.slot.as<const std::int32_t>()));
    KEDGE_CHECK(op::Attention::infer(a));
    KEDGE_TRY(Buffer scratch, Buffer::create(a.scratch.bytes(), "scratch"));
    std::memset(scratch.data(), 0xFF, scratch.size());
    a.scratch.data = scratch.data();
    KEDGE_TRY(Buffer y, Buffer::create(a.y.bytes(), "y"));  // aligned, as q8_act wants it
    std::memset(y.data(), 0xFF, y.size());
    a.y.data = y.data();
    if (cpu == nullptr) KEDGE_CHECK(Reference::run<op::Attention>(a));
    else KEDGE_CHECK(cpu->run<op::Attention>(a, count));
    return std::vector<std::byte>(y.data(), y.data() + y.size());
  }
  Result<std::vector<std::byte>> attend(const std::vector<Row>& rows, const tests::Tested* cpu,
                                        Element output = Element::f32) const {
    return attend(rows, cpu, output, [](Row, int, std::vector<float>&) {});
  }

 private:
  template <class Edit>
  std::vector<float> gather(const std::vector<Row>& rows, int kind, Edit edit) const {
    std::vector<float> all;
    for (const Row row : rows) {
      std::vector<float> x = values(row, kind);
      edit(row, kind, x);
      all.insert(all.end(), x.begin(), x.end());
    }
    return all;
  }
  static void indices(const std::vector<Row>& rows, std::vector<std::int32_t>& position,
                      std::vector<std::int32_t>& sequence) {
    for (const Row row : rows) {
      position.push_back(row.position);
      sequence.push_back(row.sequence);
    }
  }

  Shape shape_;
  std::uint64_t seed_;
  KvPageLayout layout_;
  std::vector<std::int32_t> pages_;
  Tensor page_table_, cache_;
  Buffer pool_;
};

}  // namespace kedge::test
