// Host side of attention on the CPU. Two schedules with equal bytes, chosen by the rows of the run:
//   few rows   a unit is (tile, key/value head, split) and leaves partial results in scratch; then
//              a unit is (row, head) and folds them
//   many rows  a unit is (tile, key/value head) and folds as it goes; the second phase is empty
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct AttentionUnit {
  PhaseBody attend, fold;
};
KEDGE_DECLARE_UNITS(AttentionUnit, attention)

inline std::size_t attention_units(const void* args, const Launch& launch) noexcept {
  const auto& a = *static_cast<const op::Attention::Args*>(args);
  const std::int32_t count = a.tiles.as<op::Attention::TileHeader>()->count;
  std::int64_t parts = count;
  if (launch.rows <= op::Attention::few_rows) {
    parts = 0;
    for (std::int32_t t = 0; t < count; ++t)
      parts += split_count(a.tiles.as<op::Attention::Tile>()[1 + t].keys);
  }
  return static_cast<std::size_t>(parts * a.kv_heads);
}

inline std::size_t attention_fold_units(const void* args, const Launch& launch) noexcept {
  const auto& a = *static_cast<const op::Attention::Args*>(args);
  if (launch.rows > op::Attention::few_rows) return 0;
  return static_cast<std::size_t>(launch.rows * a.heads);
}
}  // namespace cpu

// For Kernel<Cpu, op::MaskedAttention<Mask>> too, with the units of that mask.
template <const cpu::AttentionUnit& (*find)(cpu::Isa) noexcept>
struct AttentionKernel {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::Attention::Args&) noexcept {
    const cpu::AttentionUnit& unit = find(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {unit.attend, cpu::attention_units};
    list.item[list.count++] = {unit.fold, cpu::attention_fold_units};
    return list;
  }
};
template <>
struct Kernel<Cpu, op::Attention> : AttentionKernel<cpu::attention_unit> {};

}  // namespace kedge::inline KEDGE_ABI
