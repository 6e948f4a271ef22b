// Host side of matmul on the CPU: one phase, one unit per panel of 16 weight rows. Weights must be
// in panels: products over rows as files store them would be a slow path that nobody sees.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/kernel/cpu/matmul_task.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {

inline MatmulTask matmul_task(const op::Matmul::Args& a) noexcept {
  const std::int64_t width = a.weight.width();
  return {a.weight.data,
          panel_bytes(a.weight.element, width),
          width,
          a.weight.rows(),
          a.x.data,
          static_cast<std::int64_t>(row_bytes(a.x.element, width)),
          a.residual.empty() ? nullptr : a.residual.as<float>(),
          op::Matmul::is_bias(a.residual) ? 0 : a.weight.rows(),
          a.y.as<float>(),
          a.weight.rows()};
}

template <Isa isa>
void matmul(const void* args, const Launch& launch, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::Matmul::Args*>(args);
  matmul_unit(isa, a.weight.element).body(matmul_task(a), launch.rows, begin, end);
}

}  // namespace cpu

template <>
struct Kernel<Cpu, op::Matmul> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::Matmul::Args& a) noexcept {
    if (a.weight.layout != Layout::panel16)
      return fail(Code::unsupported, op::Matmul::name,
                  "weight: the CPU expects panels of 16 rows (cpu::pack), found rows one by one");
    if (a.x.element != op::Matmul::activation(a.weight.element))
      return fail(Code::unsupported, op::Matmul::name,
                  "x: the CPU multiplies %s weights with %s (quantize_rows), found %s",
                  to_string(a.weight.element), to_string(op::Matmul::activation(a.weight.element)),
                  to_string(a.x.element));
    cpu::PhaseList list;
    list.item[list.count++] = {body(isa), units};
    return list;
  }

  static cpu::PhaseBody body(cpu::Isa isa) noexcept {
    using enum cpu::Isa;
    return isa == avx512    ? cpu::matmul<avx512>
           : isa == avxvnni ? cpu::matmul<avxvnni>
           : isa == avx2    ? cpu::matmul<avx2>
           : isa == neon    ? cpu::matmul<neon>
                            : cpu::matmul<scalar>;
  }
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    if (launch.rows == 0) return 0;
    const auto& a = *static_cast<const op::Matmul::Args*>(args);
    return static_cast<std::size_t>(cpu::panel_count(a.weight.rows()));
  }
};

}  // namespace kedge::inline KEDGE_ABI
