// Attention over the last 70 positions: a mask of the program's own.
#pragma once

#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/ref/attention.hpp"

namespace app {

struct Window {
  static constexpr const char* name = "window_attention";
  static constexpr bool all_earlier = false;
  KEDGE_INLINE static constexpr bool sees(std::int64_t query, std::int64_t key) noexcept {
    return query - key < 70;
  }
};
using WindowAttention = kedge::op::MaskedAttention<Window>;
KEDGE_DECLARE_UNITS(kedge::cpu::AttentionUnit, window_attention)

}  // namespace app

template <>
struct kedge::Kernel<kedge::Cpu, app::WindowAttention>
    : kedge::AttentionKernel<app::window_attention_unit> {};
