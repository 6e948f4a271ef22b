// Reference of op/matmul_argmax.hpp.
#pragma once

#include "kedge/kernel/ref/argmax.hpp"
#include "kedge/kernel/ref/matmul.hpp"
#include "kedge/op/matmul_argmax.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::MatmulArgmax> {
  static void run(const op::MatmulArgmax::Args& a) {
    Kernel<Reference, op::Matmul>::run(op::MatmulArgmax::product(a));
    Kernel<Reference, op::Argmax>::run({a.y, a.index, a.value, {}, {}});
  }
};

}  // namespace kedge::inline KEDGE_ABI
