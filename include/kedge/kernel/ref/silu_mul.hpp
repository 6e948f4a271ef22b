// Reference of op/silu_mul.hpp.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/silu_mul.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::SiluMul> {
  static void run(const op::SiluMul::Args& a) {
    const std::int64_t width = a.gate.width();
    std::vector<float> out(static_cast<std::size_t>(width));
    for (std::int64_t r = 0; r < a.gate.rows(); ++r) {
      for (std::int64_t i = 0; i < width; ++i) {
        const double gate = a.gate.row<float>(r)[i], up = a.up.row<float>(r)[i];
        out[static_cast<std::size_t>(i)] = static_cast<float>(gate / (1 + std::exp(-gate)) * up);
      }
      ref::store_row(out.data(), a.y, r);
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
