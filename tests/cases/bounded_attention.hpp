#pragma once

#include "cases/attention.hpp"
#include "kedge/op/bounded_attention.hpp"

namespace kedge::cases {

// The cases of attention, with windows that begin and end within pages; every third row sees all.
template <>
inline std::vector<Case<op::BoundedAttention>> cases<op::BoundedAttention>() {
  std::vector<Case<op::BoundedAttention>> list;
  for (const Case<op::Attention>& c : cases<op::Attention>())
    list.push_back({c.name,
                    [make = c.make](Workspace& w, std::int64_t rows) {
                      op::BoundedAttention::Args a = make(w, rows);
                      a.first = w.make(Element::i32, rows);
                      for (std::int64_t r = 0; r < rows; ++r) {
                        const std::int32_t at = a.position.as<std::int32_t>()[r];
                        const auto back = static_cast<std::int32_t>(r % 3 * 75);
                        a.first.as<std::int32_t>()[r] = r % 3 == 0 || back > at ? 0 : at - back;
                      }
                      return a;
                    },
                    c.tolerance, c.rows});
  return list;
}

template <>
struct Harness<op::BoundedAttention> {
  static constexpr bool sliceable = false;
  static Status prepare_cpu(Workspace&, op::BoundedAttention::Args&, cpu::Isa) { return {}; }
};

}  // namespace kedge::cases
