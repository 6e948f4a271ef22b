// Reference of op/argmax.hpp.
#pragma once

#include <limits>

#include "kedge/backend/reference.hpp"
#include "kedge/op/argmax.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::Argmax> {
  static void run(const op::Argmax::Args& a) {
    for (std::int64_t r = 0; r < a.x.rows(); ++r) {
      const float* x = a.x.row<float>(r);
      std::int64_t best = 0;
      bool nan = false;
      for (std::int64_t i = 0; i < a.x.width(); ++i) {
        nan = nan || x[i] != x[i];
        if (x[i] > x[best]) best = i;
      }
      *a.index.row<std::int32_t>(r) = nan ? -1 : static_cast<std::int32_t>(best);
      *a.value.row<float>(r) = nan ? std::numeric_limits<float>::quiet_NaN() : x[best];
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
