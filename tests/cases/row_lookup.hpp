#pragma once

#include "cases/case.hpp"
#include "cases/quantized.hpp"
#include "kedge/op/row_lookup.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::RowLookup>> cases<op::RowLookup>() {
  std::vector<Case<op::RowLookup>> list;
  for (const Element element : weight_elements)
    for (const int k : {1, 33, 32, 96, 256, 576, 1024})
      for (const int vocabulary : {1, 17, 100}) {
        if (k % static_cast<int>(traits(element).block) != 0) continue;
        list.push_back({std::string(to_string(element)) + " V " + std::to_string(vocabulary) +
                            " K " + std::to_string(k),
                        [=](Workspace& w, std::int64_t rows) {
                          op::RowLookup::Args a;
                          a.token = w.make(Element::i32, rows);
                          for (std::int64_t r = 0; r < rows; ++r)
                            a.token.as<std::int32_t>()[r] =
                                static_cast<std::int32_t>((r * 7 + vocabulary - 1) % vocabulary);
                          a.weight = random_matrix(w, element, 2, 1.0f, vocabulary, k);
                          a.y = w.make(Element::f32, rows, k);
                          return a;
                        },
                        0,
                        {33}});
      }
  return list;
}

}  // namespace kedge::cases
