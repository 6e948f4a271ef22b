#pragma once

#include "cases/case.hpp"
#include "kedge/op/gated_rms_norm.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::GatedRmsNorm>> cases<op::GatedRmsNorm>() {
  std::vector<Case<op::GatedRmsNorm>> list;
  struct Shape {
    int heads, dim;
  };
  for (const Shape s : {Shape{1, 1}, Shape{3, 15}, Shape{2, 16}, Shape{5, 20}, Shape{1, 100},
                        Shape{3, 32}, Shape{2, 64}, Shape{16, 128}})
    for (const bool sigmoid : {false, true})
      for (const Element out : {Element::f32, Element::q8_act}) {
        if (out == Element::q8_act && s.dim % 32 != 0) continue;
        list.push_back({std::to_string(s.heads) + " heads of " + std::to_string(s.dim) +
                            (sigmoid ? ", sigmoid" : "") + " to " + to_string(out),
                        [=](Workspace& w, std::int64_t rows) {
                          op::GatedRmsNorm::Args a;
                          a.x = w.random(1, 3.0f, rows, s.heads * s.dim);
                          a.z = w.random(2, 3.0f, rows, s.heads * s.dim);
                          a.weight = w.random(3, 1.0f, s.dim);
                          a.y = w.make(out, rows, s.heads * s.dim);
                          a.sigmoid = sigmoid;
                          return a;
                        },
                        // F32: the norm's 1e-6 and the gate's 5e-7. int8: a value at a rounding
                        // boundary may fall on either side, one step of max/127.
                        out == Element::f32 ? 1.5e-6 : 1.01 / 127,
                        {33}});
      }
  return list;
}

}  // namespace kedge::cases
