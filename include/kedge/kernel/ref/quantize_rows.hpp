// Reference of op/quantize_rows.hpp.
#pragma once

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/quantize_rows.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::QuantizeRows> {
  static void run(const op::QuantizeRows::Args& a) {
    for (std::int64_t r = 0; r < a.x.rows(); ++r) ref::store_row(a.x.row<float>(r), a.y, r);
  }
};

}  // namespace kedge::inline KEDGE_ABI
