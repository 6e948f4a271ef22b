// Host side of attention on the CPU. Two schedules with equal bytes, chosen by what there is to do:
//   apart      a unit is (tile, key/value head, split) and leaves partial results in scratch; then
//              a unit is (row, head) and folds them. For few rows, whose splits keep workers busy
//   as one     a unit is (tile, key/value head) and folds as it goes; the second phase is empty.
//   For
//              many rows, and where few have heads enough and so few keys that waiting for one
//              another costs more than what more workers would save
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct AttentionUnit {
  PhaseBody attend, fold;
};
KEDGE_DECLARE_UNITS(AttentionUnit, attention)

// Whether the splits are work of their own.
KEDGE_INLINE bool attention_apart(const op::Attention::Args& a, const Launch& launch) noexcept {
  constexpr std::int64_t enough_units = 8, few_keys = single_page_splits * page_positions;
  if (launch.rows > op::Attention::few_rows) return false;
  const std::int32_t count = a.tiles.as<op::Attention::TileHeader>()->count;
  if (std::int64_t{count} * a.kv_heads < enough_units) return true;
  for (std::int32_t t = 0; t < count; ++t)
    if (a.tiles.as<op::Attention::Tile>()[1 + t].keys > few_keys) return true;
  return false;
}

inline std::size_t attention_units(const void* args, const Launch& launch) noexcept {
  const auto& a = *static_cast<const op::Attention::Args*>(args);
  const std::int32_t count = a.tiles.as<op::Attention::TileHeader>()->count;
  std::int64_t parts = count;
  if (attention_apart(a, launch)) {
    parts = 0;
    for (std::int32_t t = 0; t < count; ++t)
      parts += split_count(a.tiles.as<op::Attention::Tile>()[1 + t].keys);
  }
  return static_cast<std::size_t>(parts * a.kv_heads);
}

inline std::size_t attention_fold_units(const void* args, const Launch& launch) noexcept {
  const auto& a = *static_cast<const op::Attention::Args*>(args);
  if (!attention_apart(a, launch)) return 0;
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
