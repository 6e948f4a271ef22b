#pragma once

#include "cases/case.hpp"
#include "kedge/op/sigmoid_mul.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::SigmoidMul>> cases<op::SigmoidMul>() {
  std::vector<Case<op::SigmoidMul>> list;
  const auto add = [&list](const std::string& name, int width, float gate, float x, Element out,
                           double tolerance) {
    list.push_back({name + " to " + to_string(out),
                    [=](Workspace& w, std::int64_t rows) {
                      op::SigmoidMul::Args a;
                      a.x = w.random(1, x, rows, width);
                      a.gate = w.random(2, gate, rows, width);
                      a.y = w.make(out, rows, width);
                      return a;
                    },
                    tolerance,
                    {33}});
  };
  // F32: e^-x within 2 ulp and three roundings. int8: a value at a rounding boundary may fall on
  // either side, one step of max/127.
  constexpr double f32 = 5e-7, q8_act = 1.01 / 127;
  for (const int width : {1, 15, 16, 17, 255, 256, 257, 1536, 2080})
    add("width " + std::to_string(width), width, 3.0f, 1.0f, Element::f32, f32);
  for (const int width : {32, 224, 256, 288, 1536, 2080})
    add("width " + std::to_string(width), width, 3.0f, 1.0f, Element::q8_act, q8_act);
  // Far beyond where e^-x saturates: the gate is 1 on one side and vanishes on the other.
  add("large gates", 320, 80.0f, 1.0f, Element::f32, f32);
  // Results of few bits: 1.4e-45 apart, however small the row's largest.
  add("subnormal", 300, 1.0f, 1e-39f, Element::f32, 1e-5);
  return list;
}

}  // namespace kedge::cases
