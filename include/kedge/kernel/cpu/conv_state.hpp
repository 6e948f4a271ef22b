// Host side of conv_state on the CPU: one phase; a unit is a chunk of channels and goes through all
// rows, so that weights and columns stay in the nearest cache.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/conv_state.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct ConvStateUnit {
  PhaseBody rows;
};
KEDGE_DECLARE_UNITS(ConvStateUnit, conv_state)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::ConvState> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::ConvState::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::conv_state_unit(isa).rows, units};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch&) noexcept {
    const auto& a = *static_cast<const op::ConvState::Args*>(args);
    return static_cast<std::size_t>(cpu::chunk_count(a.x.width(), cpu::elementwise_chunk));
  }
};

}  // namespace kedge::inline KEDGE_ABI
