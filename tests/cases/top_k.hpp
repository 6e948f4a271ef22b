#pragma once

#include "cases/logits.hpp"
#include "kedge/op/top_k.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::TopK>> cases<op::TopK>() {
  std::vector<Case<op::TopK>> list;
  const auto add = [&list](const LogitsCase& c, int width, int k) {
    list.push_back({"width " + std::to_string(width) + ", k " + std::to_string(k) + ", " + c.name,
                    [=](Workspace& w, std::int64_t rows) {
                      op::TopK::Args a;
                      a.x = make_logits(c, w, rows, width);
                      a.k = k;
                      return a;
                    },
                    0,  // a search computes nothing: the bytes are equal
                    {}});
  };
  struct Shape {
    int width, k;
  };
  for (const Shape s : {Shape{1, 1}, {15, 15}, {100, 1}, {300, 256}, {4100, 5}, {9001, 40}})
    for (const LogitsCase& c : logits_cases()) add(c, s.width, s.k);
  add(logits_cases().front(), 49152, 8);
  add(logits_cases()[1], 12300, 256);
  return list;
}

}  // namespace kedge::cases
