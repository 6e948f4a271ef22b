#pragma once

#include "cases/case.hpp"
#include "kedge/op/place_columns.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::PlaceColumns>> cases<op::PlaceColumns>() {
  struct Shape {
    int width, first, behind;
  };
  std::vector<Case<op::PlaceColumns>> list;
  for (const Shape s : {Shape{1, 0, 0}, Shape{16, 16, 0}, Shape{33, 5, 7}, Shape{576, 576, 576}})
    list.push_back({std::to_string(s.width) + " from " + std::to_string(s.first) + " of " +
                        std::to_string(s.first + s.width + s.behind),
                    [=](Workspace& w, std::int64_t rows) {
                      op::PlaceColumns::Args a;
                      a.x = w.random(1, 1.0f, rows, s.width);
                      a.y = w.random(2, 1.0f, rows, s.first + s.width + s.behind);
                      a.first = s.first;
                      return a;
                    },
                    0,
                    {17}});
  return list;
}

}  // namespace kedge::cases
