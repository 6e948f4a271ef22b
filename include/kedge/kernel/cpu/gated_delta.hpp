// Host side of gated_delta on the CPU. First phase: a unit is (row, key head) and makes what every
// column of the row's heads needs alike. Second: a unit is (run, value head, 32 columns), which go
// through all rows of the run on their own.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/gated_delta.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct GatedDeltaUnit {
  PhaseBody prepare;
  PhaseBody rows[2];  // [decay is per channel]
};
KEDGE_DECLARE_UNITS(GatedDeltaUnit, gated_delta)

KEDGE_INLINE constexpr std::int64_t delta_groups(const op::GatedDelta::Args& a) noexcept {
  return (a.value_dim + op::DeltaLayout::block - 1) / op::DeltaLayout::block;
}
}  // namespace cpu

template <>
struct Kernel<Cpu, op::GatedDelta> {
  using Args = op::GatedDelta::Args;

  static Result<cpu::PhaseList> phases(cpu::Isa isa, const Args& a) noexcept {
    const cpu::GatedDeltaUnit& unit = cpu::gated_delta_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {unit.prepare, key_units};
    list.item[list.count++] = {unit.rows[op::GatedDelta::channel_decay(a)], column_units};
    return list;
  }

 private:
  static std::size_t key_units(const void* args, const cpu::Launch&) noexcept {
    const auto& a = *static_cast<const Args*>(args);
    return static_cast<std::size_t>(a.runs.as<op::RecurrentHeader>()->rows * a.key_heads);
  }
  static std::size_t column_units(const void* args, const cpu::Launch&) noexcept {
    const auto& a = *static_cast<const Args*>(args);
    return static_cast<std::size_t>(op::recurrent_run_count(a.runs) * a.value_heads *
                                    cpu::delta_groups(a));
  }
};

}  // namespace kedge::inline KEDGE_ABI
