// Reference of op/top_k.hpp: k searches, each for the first entry in (value descending, index
// ascending) that comes after the one found before.
#pragma once

#include <limits>

#include "kedge/backend/reference.hpp"
#include "kedge/op/top_k.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::TopK> {
  static void run(const op::TopK::Args& a) {
    for (std::int64_t r = 0; r < a.x.rows(); ++r) {
      const float* x = a.x.row<float>(r);
      const std::int64_t width = a.x.width();
      const auto before = [x](std::int64_t i, std::int64_t j) {
        return x[i] > x[j] || (x[i] == x[j] && i < j);
      };
      bool nan = false;
      for (std::int64_t i = 0; i < width; ++i) nan = nan || x[i] != x[i];
      std::int64_t last = -1;
      for (std::int32_t k = 0; k < a.k; ++k) {
        std::int64_t next = -1;
        for (std::int64_t i = 0; i < width && !nan; ++i)
          if ((last < 0 || before(last, i)) && (next < 0 || before(i, next))) next = i;
        a.index.row<std::int32_t>(r)[k] = static_cast<std::int32_t>(next);
        a.value.row<float>(r)[k] = nan ? std::numeric_limits<float>::quiet_NaN() : x[next];
        last = next;
      }
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
