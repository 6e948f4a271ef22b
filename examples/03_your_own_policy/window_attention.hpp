// A policy of our own: attention that sees the last 128 positions only.
#pragma once

#include "kedge/kernel/cpu/attention.hpp"

struct Window {
  static constexpr const char* name = "window_attention";
  static constexpr bool all_earlier = false;
  KEDGE_INLINE static constexpr bool sees(std::int64_t query, std::int64_t key) noexcept {
    return query - key < 128;
  }
};
using WindowAttention = kedge::op::MaskedAttention<Window>;

// kedge_add_op(window_attention TARGET ...) compiles window_attention-inl.hpp once per instruction
// set; this declares what those units define, and here the operator finds them.
KEDGE_DECLARE_UNITS(kedge::cpu::AttentionUnit, window_attention)
template <>
struct kedge::Kernel<kedge::Cpu, WindowAttention> : kedge::AttentionKernel<window_attention_unit> {
};
