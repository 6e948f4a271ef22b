#pragma once

#include "cases/case.hpp"
#include "kedge/op/rms_norm.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::RmsNorm>> cases<op::RmsNorm>() {
  std::vector<Case<op::RmsNorm>> list;
  for (const int width : {1, 15, 16, 17, 64, 100, 576, 2048})
    for (const Element out : {Element::f32, Element::q8_act}) {
      if (out == Element::q8_act && width % 32 != 0) continue;
      list.push_back({"width " + std::to_string(width) + " to " + to_string(out),
                      [=](Workspace& w, std::int64_t rows) {
                        op::RmsNorm::Args a;
                        a.x = w.random(1, 3.0f, rows, width);
                        a.weight = w.random(2, 1.0f, width);
                        a.y = w.make(out, rows, width);
                        return a;
                      },
                      // F32: a sum of `width` squares and three roundings. int8: a value at a
                      // rounding boundary may fall on either side, one step of max/127.
                      out == Element::f32 ? 1e-6 : 1.01 / 127,
                      {33}});
    }
  // Parts of a row: the norms of q and k heads.
  for (const int heads : {2, 3, 8})
    for (const int part : {16, 20, 64, 128}) {
      list.push_back({std::to_string(heads) + " heads of " + std::to_string(part),
                      [=](Workspace& w, std::int64_t rows) {
                        op::RmsNorm::Args a;
                        a.x = w.random(1, 3.0f, rows, heads * part);
                        a.weight = w.random(2, 1.0f, part);
                        a.y = w.make(Element::f32, rows, heads * part);
                        a.heads = heads;
                        return a;
                      },
                      1e-6,
                      {33}});
      if (part % 32 == 0)
        list.push_back({std::to_string(heads) + " heads of " + std::to_string(part) + " to q8_act",
                        [=](Workspace& w, std::int64_t rows) {
                          op::RmsNorm::Args a;
                          a.x = w.random(1, 3.0f, rows, heads * part);
                          a.weight = w.random(2, 1.0f, part);
                          a.y = w.make(Element::q8_act, rows, heads * part);
                          a.heads = heads;
                          return a;
                        },
                        1.01 / 127,
                        {33}});
    }
  return list;
}

}  // namespace kedge::cases
