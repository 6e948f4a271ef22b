// Reference of op/add.hpp.
#pragma once

#include "kedge/backend/reference.hpp"
#include "kedge/op/add.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::Add> {
  static void run(const op::Add::Args& args) {
    for (std::int64_t r = 0; r < args.a.rows(); ++r)
      for (std::int64_t i = 0; i < args.a.width(); ++i)
        args.y.row<float>(r)[i] =
            static_cast<float>(double(args.a.row<float>(r)[i]) + double(args.b.row<float>(r)[i]));
  }
};

}  // namespace kedge::inline KEDGE_ABI
