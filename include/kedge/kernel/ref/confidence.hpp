// Reference of op/confidence.hpp.
#pragma once

#include <cmath>

#include "kedge/backend/reference.hpp"
#include "kedge/op/confidence.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::Confidence> {
  static void run(const op::Confidence::Args& a) {
    const std::int64_t width = a.h.width();
    for (std::int64_t r = 0; r < a.h.rows(); ++r) {
      double sum = a.bias.empty() ? 0 : double(a.bias.as<float>()[0]);
      const float* weight = a.weight.as<float>();
      for (std::int64_t i = 0; i < width; ++i) sum += double(weight[i]) * a.h.row<float>(r)[i];
      for (std::int64_t i = 0; i < a.e.width(); ++i)
        sum += double(weight[width + i]) * a.e.row<float>(r)[i];
      a.y.row<float>(r)[0] = static_cast<float>(1 / (1 + std::exp(-sum)));
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
