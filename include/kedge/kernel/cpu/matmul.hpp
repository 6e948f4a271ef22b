// Host side of matmul on the CPU: one phase, one unit per panel of 16 weight rows. Weights must be
// in panels: products over rows as files store them would be a slow path that nobody sees.
#pragma once

#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct MatmulUnit {
  PhaseBody f32, f16, bf16, q8_0, q4_0, q4_1, q6_k;  // by the element of the weight
};
KEDGE_DECLARE_UNITS(MatmulUnit, matmul)
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
    list.item[list.count++] = {body(cpu::matmul_unit(isa), a.weight.element), units};
    return list;
  }

  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    if (launch.rows == 0) return 0;
    const auto& a = *static_cast<const op::Matmul::Args*>(args);
    return static_cast<std::size_t>(cpu::panel_count(a.weight.rows()));
  }

 private:
  static cpu::PhaseBody body(const cpu::MatmulUnit& unit, Element element) noexcept {
    switch (element) {
      case Element::f32:
        return unit.f32;
      case Element::f16:
        return unit.f16;
      case Element::bf16:
        return unit.bf16;
      case Element::q8_0:
        return unit.q8_0;
      case Element::q4_0:
        return unit.q4_0;
      case Element::q4_1:
        return unit.q4_1;
      default:
        return unit.q6_k;  // check() lets no other through
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
