// Reference: the definition of correct. One thread, double arithmetic, no layout tricks; the
// kernels are in kernel/ref/, at most 60 lines each. Kernel<Reference, Op>::run(args) -> void.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI {

struct Reference {
  template <class Op>
  static Status run(const typename Op::Args& args) noexcept {
    KEDGE_CHECK(Op::check(args));
    Kernel<Reference, Op>::run(args);
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
