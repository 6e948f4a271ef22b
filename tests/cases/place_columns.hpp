#pragma once

#include "cases/case.hpp"
#include "kedge/op/place_columns.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::PlaceColumns>> cases<op::PlaceColumns>() {
  std::vector<Case<op::PlaceColumns>> list;
  const auto add = [&list](int width, int column, int all) {
    list.push_back({"width " + std::to_string(width) + " at " + std::to_string(column),
                    [=](Workspace& w, std::int64_t rows) {
                      op::PlaceColumns::Args a;
                      a.x = w.random(1, 1.0f, rows, width);
                      a.y = w.random(2, 1.0f, rows, all);
                      a.column = column;
                      return a;
                    },
                    0,  // copies
                    {19}});
  };
  add(1, 0, 1);
  add(17, 3, 20);
  add(256, 0, 1024);
  add(576, 576, 1728);
  add(1025, 7, 2000);
  return list;
}

}  // namespace kedge::cases
