#pragma once

#include "cases/case.hpp"
#include "kedge/op/delta_gate.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::DeltaGate>> cases<op::DeltaGate>() {
  std::vector<Case<op::DeltaGate>> list;
  const auto add = [&list](int heads, int channels, float spread, float lower_bound,
                           double tolerance) {
    list.push_back({std::to_string(heads) + " heads of " + std::to_string(channels) +
                        " channels, spread " + std::to_string(static_cast<int>(spread)) +
                        (lower_bound < 0 ? ", bounded" : ""),
                    [=](Workspace& w, std::int64_t rows) {
                      op::DeltaGate::Args a;
                      a.a = w.random(1, spread, rows, heads * channels);
                      a.b = w.random(2, spread, rows, heads);
                      a.dt_bias = w.random(3, 1.0f, heads * channels);
                      a.a_scale = w.random(4, 1.0f, heads);
                      for (int h = 0; h < heads; ++h) {
                        float& scale = a.a_scale.as<float>()[h];
                        scale = scale < 0 ? scale : -scale - 0.01f;
                      }
                      a.decay = w.make(Element::f32, rows, heads * channels);
                      a.beta = w.make(Element::f32, rows, heads);
                      a.lower_bound = lower_bound;
                      return a;
                    },
                    tolerance,
                    {33}});
  };
  // e^-|x| within 2 ulp, its log1p within 3, a sum and a product.
  constexpr double few_ulp = 8e-7;
  for (const int heads : {1, 2, 15, 16, 17, 48}) add(heads, 1, 3.0f, 0, few_ulp);
  add(16, 1, 40.0f, 0, few_ulp);  // softplus is x on one side and vanishes on the other
  for (const int channels : {16, 60, 128}) add(3, channels, 3.0f, 0, few_ulp);
  // The argument of e^x is a product, whose rounding counts as often as it is large: 16 x 2^-24.
  add(16, 1, 3.0f, -5.0f, 2e-6);
  add(3, 128, 3.0f, -5.0f, 2e-6);
  return list;
}

}  // namespace kedge::cases
