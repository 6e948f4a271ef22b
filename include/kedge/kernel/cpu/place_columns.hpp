// Host side of place_columns on the CPU: one phase, one unit per row.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/place_columns.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct PlaceColumnsUnit {
  PhaseBody f32;
};
KEDGE_DECLARE_UNITS(PlaceColumnsUnit, place_columns)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::PlaceColumns> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::PlaceColumns::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::place_columns_unit(isa).f32, units};
    return list;
  }

 private:
  static std::size_t units(const void*, const cpu::Launch& launch) noexcept {
    return static_cast<std::size_t>(launch.rows);
  }
};

}  // namespace kedge::inline KEDGE_ABI
