// Host side of argmax on the CPU. Two phases: the best of every 4096 values, one unit each, so that
// a single row of a large vocabulary uses every worker; then the best of those, one unit per row.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/argmax.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct ArgmaxUnit {
  PhaseBody chunks, rows;
};
KEDGE_DECLARE_UNITS(ArgmaxUnit, argmax)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::Argmax> {
  static_assert(op::Argmax::chunk == cpu::search_chunk);

  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::Argmax::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::argmax_unit(isa).chunks, units};
    list.item[list.count++] = {cpu::argmax_unit(isa).rows, cpu::one_unit_per_output};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::Argmax::Args*>(args);
    return static_cast<std::size_t>(launch.outputs * op::Argmax::chunks(a));
  }
};

}  // namespace kedge::inline KEDGE_ABI
