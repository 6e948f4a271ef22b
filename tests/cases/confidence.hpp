#pragma once

#include "cases/case.hpp"
#include "kedge/op/confidence.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::Confidence>> cases<op::Confidence>() {
  std::vector<Case<op::Confidence>> list;
  const auto add = [&list](int width, int rank, bool bias, float spread) {
    list.push_back({std::to_string(width) + " + " + std::to_string(rank) +
                        (bias ? " with bias" : "") + ", spread " +
                        std::to_string(static_cast<int>(spread)),
                    [=](Workspace& w, std::int64_t rows) {
                      op::Confidence::Args a;
                      a.h = w.random(1, 1.0f, rows, width);
                      if (rank > 0) a.e = w.random(2, 1.0f, rows, rank);
                      const auto scale = spread / static_cast<float>(__builtin_sqrt(width + rank));
                      a.weight = w.random(3, scale, width + rank);
                      if (bias) a.bias = w.random(4, 1.0f, 1);
                      a.y = w.make(Element::f32, rows, 1);
                      return a;
                    },
                    // Where the sigmoid is small its relative error is the absolute one of the sum,
                    // some roundings of its terms' size.
                    2e-6 * (1 + spread),
                    {33}});
  };
  add(1, 0, false, 1);
  add(17, 15, true, 1);
  add(576, 64, true, 2);
  add(2048, 256, true, 2);
  add(2048, 0, true, 2);
  add(4096, 256, false, 30);
  return list;
}

}  // namespace kedge::cases
