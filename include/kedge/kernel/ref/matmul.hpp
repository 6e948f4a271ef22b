// Reference of op/matmul.hpp: sums in double over the decoded weights and activations.
#pragma once

#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::Matmul> {
  static void run(const op::Matmul::Args& a) {
    const std::int64_t rows = a.x.rows(), width = a.x.width();
    std::vector<float> x(static_cast<std::size_t>(rows * width));
    for (std::int64_t r = 0; r < rows; ++r)
      decode_row(a.x.element, a.x.row<std::byte>(r), width, x.data() + r * width);
    std::vector<float> weight(static_cast<std::size_t>(width));
    for (std::int64_t n = 0; n < a.weight.rows(); ++n) {
      cpu::decode_weight_row(a.weight, n, weight.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        if (!a.residual.empty())
          sum = double(a.residual.row<float>(op::Matmul::is_bias(a.residual) ? 0 : r)[n]);
        for (std::int64_t k = 0; k < width; ++k)
          sum += double(weight[static_cast<std::size_t>(k)]) *
                 double(x[static_cast<std::size_t>(r * width + k)]);
        a.y.row<float>(r)[n] = static_cast<float>(sum);
      }
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
