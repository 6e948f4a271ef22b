// Host side of bounded_attention on the CPU: the schedules of attention.
#pragma once

#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/op/bounded_attention.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
KEDGE_DECLARE_UNITS(AttentionUnit, bounded_attention)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::BoundedAttention> : AttentionKernel<cpu::bounded_attention_unit> {};

}  // namespace kedge::inline KEDGE_ABI
