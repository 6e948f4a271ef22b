// Host side of rope on the CPU: one phase, one unit per row.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/rope.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct RopeUnit {
  PhaseBody halves, interleaved;  // by how values pair up
};
KEDGE_DECLARE_UNITS(RopeUnit, rope)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::Rope> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::Rope::Args& a) noexcept {
    const cpu::RopeUnit& unit = cpu::rope_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {a.interleaved ? unit.interleaved : unit.halves,
                               cpu::one_unit_per_row};
    return list;
  }
};

}  // namespace kedge::inline KEDGE_ABI
