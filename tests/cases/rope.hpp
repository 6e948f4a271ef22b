#pragma once

#include "cases/case.hpp"
#include "kedge/model/rope_table.hpp"
#include "kedge/op/rope.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::Rope>> cases<op::Rope>() {
  struct Shape {
    int heads, head_dim, rotary_dims, height = 0, width = 0;
  };
  std::vector<Case<op::Rope>> list;
  for (const Shape s : {Shape{3, 64, 64}, Shape{2, 128, 128}, Shape{5, 8, 8}, Shape{2, 20, 20},
                        Shape{1, 80, 36}, Shape{2, 64, 2}, Shape{1, 7, 6},
                        Shape{2, 256, 64, 11, 10}, Shape{3, 20, 12, 2, 1}, Shape{1, 16, 8, 1, 0}})
    for (const bool interleaved : {false, true})
      list.push_back(
          {std::to_string(s.heads) + " heads of " + std::to_string(s.head_dim) + ", " +
               std::to_string(s.rotary_dims) + " turn, " +
               (interleaved ? "interleaved" : "halves") + (s.height > 0 ? ", three positions" : ""),
           [=](Workspace& w, std::int64_t rows) {
             constexpr int positions = 100;
             op::Rope::Args a;
             a.head_dim = s.head_dim;
             a.rotary_dims = s.rotary_dims;
             a.interleaved = interleaved;
             a.x = w.random(1, 2.0f, rows, s.heads * s.head_dim);
             a.table = w.make(Element::f32, positions, s.rotary_dims);
             // The shapes of this list are such that a table may have.
             (void)fill_rope_table(a.table, 10000.0, {}).has_value();
             a.section_height = s.height;
             a.section_width = s.width;
             const int streams = s.height > 0 ? 3 : 1;
             a.position = streams == 3 ? w.make(Element::i32, rows, 3) : w.make(Element::i32, rows);
             for (std::int64_t p = 0; p < rows * streams; ++p)
               a.position.as<std::int32_t>()[p] =
                   static_cast<std::int32_t>((p * 37 + 5) % positions);
             a.y = w.make(Element::f32, rows, s.heads * s.head_dim);
             return a;
           },
           3e-7,  // two roundings of values below sqrt(2) max|x|
           {33}});
  return list;
}

}  // namespace kedge::cases
