// Host side of delta_gate on the CPU: one phase, one unit per row. A row is a few dozen values, or
// a few thousand with a decay per channel.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/delta_gate.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct DeltaGateUnit {
  PhaseBody open, bounded;  // by lower_bound
};
KEDGE_DECLARE_UNITS(DeltaGateUnit, delta_gate)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::DeltaGate> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::DeltaGate::Args& a) noexcept {
    const cpu::DeltaGateUnit& unit = cpu::delta_gate_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {a.lower_bound < 0 ? unit.bounded : unit.open, cpu::one_unit_per_row};
    return list;
  }
};

}  // namespace kedge::inline KEDGE_ABI
