// Reference of op/place_columns.hpp.
#pragma once

#include "kedge/backend/reference.hpp"
#include "kedge/op/place_columns.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::PlaceColumns> {
  static void run(const op::PlaceColumns::Args& a) {
    for (std::int64_t r = 0; r < a.x.rows(); ++r)
      for (std::int64_t i = 0; i < a.x.width(); ++i)
        a.y.row<float>(r)[a.first + i] = a.x.row<float>(r)[i];
  }
};

}  // namespace kedge::inline KEDGE_ABI
