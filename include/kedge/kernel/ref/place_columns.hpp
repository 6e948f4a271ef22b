// Reference of op/place_columns.hpp.
#pragma once

#include <algorithm>

#include "kedge/backend/reference.hpp"
#include "kedge/op/place_columns.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::PlaceColumns> {
  static void run(const op::PlaceColumns::Args& a) {
    for (std::int64_t r = 0; r < a.x.rows(); ++r)
      std::copy_n(a.x.row<float>(r), a.x.width(), a.y.row<float>(r) + a.column);
  }
};

}  // namespace kedge::inline KEDGE_ABI
