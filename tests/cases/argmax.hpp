#pragma once

#include "cases/logits.hpp"
#include "kedge/op/argmax.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::Argmax>> cases<op::Argmax>() {
  std::vector<Case<op::Argmax>> list;
  const auto add = [&list](const LogitsCase& c, int width) {
    list.push_back({"width " + std::to_string(width) + ", " + c.name,
                    [=](Workspace& w, std::int64_t rows) {
                      op::Argmax::Args a;
                      a.x = make_logits(c, w, rows, width);
                      return a;
                    },
                    0,  // a search computes nothing: the bytes are equal
                    {}});
  };
  for (const int width : {1, 17, 100, 4097, 9001})
    for (const LogitsCase& c : logits_cases()) add(c, width);
  add(logits_cases().front(), 49152);
  return list;
}

}  // namespace kedge::cases
