// Host side of quantize_rows on the CPU: one phase, one unit per piece of a row, so that a single
// row too keeps all workers busy.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/quantize_rows.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct QuantizeRowsUnit {
  PhaseBody body;
};
KEDGE_DECLARE_UNITS(QuantizeRowsUnit, quantize_rows)

constexpr std::int64_t quantize_piece = 512;  // values per unit
constexpr std::int64_t quantize_pieces(std::int64_t width) noexcept {
  return (width + quantize_piece - 1) / quantize_piece;
}
}  // namespace cpu

template <>
struct Kernel<Cpu, op::QuantizeRows> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::QuantizeRows::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::quantize_rows_unit(isa).body, units};
    return list;
  }
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::QuantizeRows::Args*>(args);
    return static_cast<std::size_t>(launch.rows * cpu::quantize_pieces(a.x.width()));
  }
};

}  // namespace kedge::inline KEDGE_ABI
