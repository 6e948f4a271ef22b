// Reference of op/sigmoid_mul.hpp.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/sigmoid_mul.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::SigmoidMul> {
  static void run(const op::SigmoidMul::Args& a) {
    const std::int64_t width = a.x.width();
    std::vector<float> out(static_cast<std::size_t>(width));
    for (std::int64_t r = 0; r < a.x.rows(); ++r) {
      for (std::int64_t i = 0; i < width; ++i) {
        const double x = a.x.row<float>(r)[i], gate = a.gate.row<float>(r)[i];
        out[static_cast<std::size_t>(i)] = static_cast<float>(x / (1 + std::exp(-gate)));
      }
      ref::store_row(out.data(), a.y, r);
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
