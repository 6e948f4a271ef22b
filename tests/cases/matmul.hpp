#pragma once

#include "cases/case.hpp"
#include "cases/quantized.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::cases {

template <>
struct Harness<op::Matmul> {
  static constexpr bool sliceable = true;
  static Status prepare_cpu(Workspace& w, op::Matmul::Args& a, cpu::Isa) {
    a.weight = packed(w, a.weight);
    return {};
  }
};

template <>
inline std::vector<Case<op::Matmul>> cases<op::Matmul>() {
  std::vector<Case<op::Matmul>> list;
  for (const Element element : weight_elements)
    for (const int k : {1, 33, 32, 96, 256, 576, 1024})
      for (const int n : {1, 15, 16, 17, 64, 100}) {
        const auto block = static_cast<int>(traits(element).block);
        if (k % block != 0) continue;
        // every N with small K, a whole and a broken last panel with the others
        if (k > 96 && k != block && n != 17 && n != 64) continue;
        // With a single output nothing else says how large results are, so it always gets a
        // residual far from zero: a sum that happens to cancel would make any tolerance too small.
        const bool residual = n == 1 || (n + k) % 2 == 1;
        // Some of the others get one row that all rows share.
        const bool bias = !residual && k >= 32 && (k / 32 + n) % 3 != 0;
        const float size = 0.5f * std::sqrt(static_cast<float>(k));
        list.push_back({std::string(to_string(element)) + " N " + std::to_string(n) + " K " +
                            std::to_string(k) +
                            (residual ? " with residual"
                             : bias   ? " with bias"
                                      : ""),
                        [=](Workspace& w, std::int64_t rows) {
                          op::Matmul::Args a;
                          a.x = random_matrix(w, op::Matmul::activation(element), 1, 1.0f, rows, k);
                          a.weight = random_matrix(w, element, 2, 0.5f, n, k);
                          if (bias) a.residual = w.random(3, size, n);
                          if (residual) {
                            a.residual = w.random(3, size, rows, n);
                            for (std::int64_t i = 0; i < rows * n; ++i) {
                              float& value = a.residual.as<float>()[i];
                              value += value < 0 ? -8 * size : 8 * size;
                            }
                          }
                          a.y = w.make(Element::f32, rows, n);
                          return a;
                        },
                        // K roundings of partial sums as large as the result
                        2e-5,
                        {17, 33, 100}});
      }
  return list;
}

}  // namespace kedge::cases
