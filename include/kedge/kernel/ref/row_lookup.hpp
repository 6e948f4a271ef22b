// Reference of op/row_lookup.hpp.
#pragma once

#include <limits>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/op/row_lookup.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::RowLookup> {
  static void run(const op::RowLookup::Args& a) {
    for (std::int64_t r = 0; r < op::RowLookup::rows(a); ++r) {
      const std::int64_t token = a.token.as<std::int32_t>()[r];
      float* y = a.y.row<float>(r);
      if (token >= 0 && token < a.weight.rows()) {
        cpu::decode_weight_row(a.weight, token, y);
      } else {
        for (std::int64_t i = 0; i < a.y.width(); ++i)
          y[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
