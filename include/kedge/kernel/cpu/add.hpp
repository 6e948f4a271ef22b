// Host side of add on the CPU: one phase, one unit per 256 values of a row.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/add.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct AddUnit {
  PhaseBody f32;
};
KEDGE_DECLARE_UNITS(AddUnit, add)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::Add> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::Add::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::add_unit(isa).f32, units};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::Add::Args*>(args);
    return static_cast<std::size_t>(launch.rows *
                                    cpu::chunk_count(a.a.width(), cpu::elementwise_chunk));
  }
};

}  // namespace kedge::inline KEDGE_ABI
