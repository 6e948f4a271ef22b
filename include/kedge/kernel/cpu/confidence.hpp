// Host side of confidence on the CPU: one phase, one unit per row.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/confidence.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct ConfidenceUnit {
  PhaseBody f32;
};
KEDGE_DECLARE_UNITS(ConfidenceUnit, confidence)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::Confidence> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::Confidence::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::confidence_unit(isa).f32, cpu::one_unit_per_row};
    return list;
  }
};

}  // namespace kedge::inline KEDGE_ABI
