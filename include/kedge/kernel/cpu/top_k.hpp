// Host side of top_k on the CPU. Two phases: the k best of every 4096 values, one unit each, so
// that a single row of a large vocabulary uses every worker; then the k best of those, one unit per
// row.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/top_k.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct TopKUnit {
  PhaseBody chunks, rows;
};
KEDGE_DECLARE_UNITS(TopKUnit, top_k)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::TopK> {
  static_assert(op::TopK::chunk == cpu::search_chunk);

  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::TopK::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {cpu::top_k_unit(isa).chunks, units};
    list.item[list.count++] = {cpu::top_k_unit(isa).rows, cpu::one_unit_per_output};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::TopK::Args*>(args);
    return static_cast<std::size_t>(launch.outputs * op::TopK::chunks(a));
  }
};

}  // namespace kedge::inline KEDGE_ABI
