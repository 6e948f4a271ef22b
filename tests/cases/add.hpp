#pragma once

#include "cases/case.hpp"
#include "kedge/op/add.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::Add>> cases<op::Add>() {
  std::vector<Case<op::Add>> list;
  const auto add = [&list](const std::string& name, int width, float scale) {
    list.push_back({name,
                    [=](Workspace& w, std::int64_t rows) {
                      op::Add::Args a;
                      a.a = w.random(1, scale, rows, width);
                      a.b = w.random(2, scale, rows, width);
                      a.y = w.make(Element::f32, rows, width);
                      return a;
                    },
                    // One rounding in F32 is the rounding of the sum in double.
                    0,
                    {33}});
  };
  for (const int width : {1, 15, 16, 17, 255, 256, 257, 576, 2049})
    add("width " + std::to_string(width), width, 3.0f);
  add("subnormal", 300, 1e-39f);
  return list;
}

}  // namespace kedge::cases
