#pragma once

#include "cases/case.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/kv_store.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::cases {

// Row r is at position context + r of one sequence whose pages stand in no order; the cache holds
// the keys of every row (room for 128), and NaN beyond.
template <>
inline std::vector<Case<op::Attention>> cases<op::Attention>() {
  struct Shape {
    int heads, kv_heads, head_dim, context;
    Element cache, out;
  };
  std::vector<Case<op::Attention>> list;
  for (const Shape s : {Shape{4, 4, 8, 0, Element::f32, Element::f32},
                        Shape{6, 2, 16, 70, Element::f16, Element::f32},
                        Shape{9, 3, 64, 500, Element::f16, Element::f32},
                        Shape{8, 2, 64, 130, Element::f16, Element::q8_act},
                        Shape{4, 1, 128, 1030, Element::f32, Element::f32},
                        Shape{2, 1, 20, 63, Element::f16, Element::f32},
                        Shape{6, 2, 64, 200, Element::bf16, Element::f32},
                        Shape{4, 2, 20, 60, Element::bf16, Element::f32},
                        Shape{9, 3, 64, 500, Element::q8_0, Element::f32},
                        Shape{4, 1, 128, 70, Element::q8_0, Element::q8_act},
                        Shape{2, 2, 32, 600, Element::q8_0, Element::f32}})
    list.push_back({std::to_string(s.heads) + "/" + std::to_string(s.kv_heads) + " heads of " +
                        std::to_string(s.head_dim) + " from " + std::to_string(s.context) + ", " +
                        to_string(s.cache) + " to " + to_string(s.out),
                    [=](Workspace& w, std::int64_t rows) {
                      constexpr std::int64_t most_rows = 128;
                      const std::int64_t keys = s.context + most_rows, pages = (keys + 63) / 64;
                      op::Attention::Args a;
                      a.heads = s.heads;
                      a.kv_heads = s.kv_heads;
                      a.head_dim = s.head_dim;
                      a.q = w.random(1, 1.0f, rows, s.heads * s.head_dim);
                      a.position = w.make(Element::i32, rows);
                      a.sequence = w.make(Element::i32, rows);
                      for (std::int64_t r = 0; r < rows; ++r) {
                        a.position.as<std::int32_t>()[r] = static_cast<std::int32_t>(s.context + r);
                        a.sequence.as<std::int32_t>()[r] = 0;
                      }
                      a.pages = w.make(Element::i32, 1, pages);
                      for (std::int64_t i = 0; i < pages; ++i)
                        a.pages.as<std::int32_t>()[i] = static_cast<std::int32_t>(pages - 1 - i);
                      const KvPageLayout layout{s.cache, s.kv_heads, s.head_dim, 1};
                      a.cache = layout.cache(w.allocate(layout.pool_bytes(pages)), pages, 0);
                      op::KvStore::Args store;
                      store.kv_heads = s.kv_heads;
                      store.head_dim = s.head_dim;
                      store.k = w.random(2, 1.0f, keys, s.kv_heads * s.head_dim);
                      store.v = w.random(3, 1.0f, keys, s.kv_heads * s.head_dim);
                      store.position = w.make(Element::i32, keys);
                      store.sequence = w.make(Element::i32, keys);
                      for (std::int64_t p = 0; p < keys; ++p) {
                        store.position.as<std::int32_t>()[p] = static_cast<std::int32_t>(p);
                        store.sequence.as<std::int32_t>()[p] = 0;
                      }
                      store.pages = a.pages;
                      store.cache = a.cache;
                      Kernel<Reference, op::KvStore>::run(store);
                      a.tiles = w.make(Element::i32, 1 + rows, 4);
                      // There is room for a tile per row, so this cannot fail.
                      (void)op::fill_attention_tiles(a.position.as<std::int32_t>(),
                                                     a.sequence.as<std::int32_t>(), rows, a.tiles)
                          .has_value();
                      a.y = tensor(nullptr, s.out, rows, s.heads * s.head_dim);
                      a.y.data = w.allocate(a.y.bytes());
                      (void)op::Attention::infer(a).has_value();
                      a.scratch.data = w.allocate(a.scratch.bytes());
                      return a;
                    },
                    // Scores of some units with an error of some 1e-7; int8: one step of max/127.
                    s.out == Element::f32 ? 5e-6 : 1.01 / 127,
                    {17, 40}});
  return list;
}

// tests/parity/attention_test.cpp covers splits.
template <>
struct Harness<op::Attention> {
  static constexpr bool sliceable = false;
  static Status prepare_cpu(Workspace&, op::Attention::Args&, cpu::Isa) { return {}; }
};

}  // namespace kedge::cases
