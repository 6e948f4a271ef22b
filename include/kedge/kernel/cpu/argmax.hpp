// Host side of argmax on the CPU. Two phases: the best of every 4096 values, one unit each, so that
// a single row of a large vocabulary uses every worker; then the best of those, one unit per row.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/argmax.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct ArgmaxBest {
  std::int32_t index;  // -1: there was a NaN
  float value;
};
struct ArgmaxUnit {
  PhaseBody chunks, rows;
  ArgmaxBest (*best)(const float* x, int n) noexcept;  // n > 0
};
KEDGE_DECLARE_UNITS(ArgmaxUnit, argmax)

// The first chunk of a row whose best is largest; a NaN above all.
KEDGE_INLINE void choose_chunk(const float* values, const std::int32_t* indices,
                               std::int64_t chunks, float& value, std::int32_t& index) noexcept {
  std::int64_t best = 0;
  for (std::int64_t c = 0; c < chunks && indices[best] >= 0; ++c)
    if (indices[c] < 0 || values[c] > values[best]) best = c;
  index = indices[best];
  value = values[best];
}
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
