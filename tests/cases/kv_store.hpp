#pragma once

#include "cases/case.hpp"
#include "kedge/op/kv_store.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::KvStore>> cases<op::KvStore>() {
  std::vector<Case<op::KvStore>> list;
  for (const Element element : {Element::f16, Element::f32, Element::bf16, Element::q8_0})
    for (const int head_dim : {8, 20, 64, 128}) {
      if (element == Element::q8_0 && head_dim % 32 != 0) continue;
      list.push_back(
          {"3 heads of " + std::to_string(head_dim) + " to " + to_string(element),
           [=](Workspace& w, std::int64_t rows) {
             // Even rows go to sequence 0 from position 60 on, odd ones to sequence 1 from 0 on;
             // room for 400 rows, in layer 1 of 2, on pages in no order.
             constexpr std::int64_t max_pages = 5, physical = 2 * max_pages + 1, layers = 2;
             op::KvStore::Args a;
             a.kv_heads = 3;
             a.head_dim = head_dim;
             a.k = w.random(1, 1.0f, rows, 3 * head_dim);
             a.v = w.random(2, 1.0f, rows, 3 * head_dim);
             a.position = w.make(Element::i32, rows);
             a.sequence = w.make(Element::i32, rows);
             for (std::int64_t r = 0; r < rows; ++r) {
               a.sequence.as<std::int32_t>()[r] = static_cast<std::int32_t>(r % 2);
               a.position.as<std::int32_t>()[r] =
                   static_cast<std::int32_t>(r / 2 + (r % 2 == 0 ? 60 : 0));
             }
             a.pages = w.make(Element::i32, 2, max_pages);
             for (std::int64_t i = 0; i < 2 * max_pages; ++i)
               a.pages.as<std::int32_t>()[i] = static_cast<std::int32_t>((7 * i + 3) % physical);
             const KvPageLayout layout{element, 3, head_dim, layers};
             a.cache = layout.cache(w.allocate(layout.pool_bytes(physical)), physical, 1);
             return a;
           },
           0,
           {33, 150}});
    }
  return list;
}

}  // namespace kedge::cases
