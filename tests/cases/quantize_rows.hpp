#pragma once

#include "cases/case.hpp"
#include "kedge/op/quantize_rows.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::QuantizeRows>> cases<op::QuantizeRows>() {
  std::vector<Case<op::QuantizeRows>> list;
  for (const int width : {32, 64, 512, 544, 576, 2048})
    for (const float scale : {1e-35f, 1.0f, 1e30f})
      list.push_back({"width " + std::to_string(width) + " scale " + std::to_string(scale),
                      [=](Workspace& w, std::int64_t rows) {
                        op::QuantizeRows::Args a;
                        a.x = w.random(1, scale, rows, width);
                        for (std::int64_t r = 0; r < rows; r += 5)  // blocks of zeros occur
                          for (int i = 0; i < 32; ++i) a.x.row<float>(r)[i] = 0;
                        a.y = w.make(Element::q8_act, rows, width);
                        return a;
                      },
                      0,  // the rule is exact: reference and kernels agree in every byte
                      {33}});
  return list;
}

}  // namespace kedge::cases
