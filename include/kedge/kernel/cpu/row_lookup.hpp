// Host side of row_lookup on the CPU: one phase, one unit per row.
#pragma once

#include "kedge/backend/cpu.hpp"
#include "kedge/op/row_lookup.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct RowLookupUnit {
  PhaseBody f32, f16, bf16, q8_0, q4_0, q4_1, q6_k;  // by the element of the weight
};
KEDGE_DECLARE_UNITS(RowLookupUnit, row_lookup)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::RowLookup> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::RowLookup::Args& a) noexcept {
    const cpu::RowLookupUnit& unit = cpu::row_lookup_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {body(unit, a.weight.element), cpu::one_unit_per_row};
    return list;
  }

 private:
  static cpu::PhaseBody body(const cpu::RowLookupUnit& unit, Element element) noexcept {
    switch (element) {
      case Element::f32:
        return unit.f32;
      case Element::f16:
        return unit.f16;
      case Element::bf16:
        return unit.bf16;
      case Element::q8_0:
        return unit.q8_0;
      case Element::q4_0:
        return unit.q4_0;
      case Element::q4_1:
        return unit.q4_1;
      default:
        return unit.q6_k;  // check() lets no other through
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
