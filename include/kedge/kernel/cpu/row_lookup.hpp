// Host side of row_lookup on the CPU: one phase, one unit per row.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/row_lookup.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct RowLookupUnit {
  PhaseBody body[weight_formats];  // by the element of the weight
};
KEDGE_DECLARE_UNITS(RowLookupUnit, row_lookup)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::RowLookup> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::RowLookup::Args& a) noexcept {
    const cpu::RowLookupUnit& unit = cpu::row_lookup_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {unit.body[static_cast<unsigned>(a.weight.element)],
                               cpu::one_unit_per_row};
    return list;
  }
};

}  // namespace kedge::inline KEDGE_ABI
