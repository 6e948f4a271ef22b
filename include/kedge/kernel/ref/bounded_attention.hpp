// Reference of op/bounded_attention.hpp.
#pragma once

#include "kedge/kernel/ref/attention.hpp"
#include "kedge/op/bounded_attention.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::BoundedAttention> : ReferenceAttention<op::mask::Bounded> {};

}  // namespace kedge::inline KEDGE_ABI
