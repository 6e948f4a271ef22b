// Host side of matmul on the CPU: one phase, one unit per panel of 16 weight rows. Weights must be
// in panels: products over rows as files store them would be a slow path that nobody sees.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct MatmulUnit {
  PhaseBody body;
};
// One per format: kernel/cpu/matmul/FORMAT-inl.hpp ends with KEDGE_MATMUL_UNIT.
#define KEDGE_FORMAT(stem, Type) KEDGE_DECLARE_UNITS(MatmulUnit, matmul_##stem)
KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
#define KEDGE_MATMUL_UNIT(name, family, Type)        \
  extern const MatmulUnit KEDGE_UNIT(matmul_##name); \
  const MatmulUnit KEDGE_UNIT(matmul_##name) = {KEDGE_ISA::family<KEDGE_ISA::Matmul##Type>};

inline PhaseBody matmul_body(Isa isa, Element weight) noexcept {
  using Find = const MatmulUnit& (*)(Isa) noexcept;
  constexpr Find table[] = {
#define KEDGE_FORMAT(stem, Type) matmul_##stem##_unit,
      KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
  };
  return table[static_cast<unsigned>(weight)](isa).body;
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
    list.item[list.count++] = {cpu::matmul_body(isa, a.weight.element), units};
    return list;
  }

  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    if (launch.rows == 0) return 0;
    const auto& a = *static_cast<const op::Matmul::Args*>(args);
    return static_cast<std::size_t>(cpu::panel_count(a.weight.rows()));
  }
};

}  // namespace kedge::inline KEDGE_ABI
