// Host side of gated_rms_norm on the CPU: one phase, one unit per row and part.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/gated_rms_norm.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct GatedRmsNormUnit {
  PhaseBody body[2][2];  // by whether the gate is a sigmoid, and whether y is q8_act
};
KEDGE_DECLARE_UNITS(GatedRmsNormUnit, gated_rms_norm)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::GatedRmsNorm> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::GatedRmsNorm::Args& a) noexcept {
    const cpu::GatedRmsNormUnit& unit = cpu::gated_rms_norm_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {unit.body[a.sigmoid][a.y.element == Element::q8_act], units};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::GatedRmsNorm::Args*>(args);
    return static_cast<std::size_t>(launch.rows * (a.x.width() / a.weight.width()));
  }
};

}  // namespace kedge::inline KEDGE_ABI
