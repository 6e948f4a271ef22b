// Host side of rms_norm on the CPU: one phase, one unit per row and head.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/rms_norm.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct RmsNormUnit {
  PhaseBody f32, q8_act;  // by the element of y
};
KEDGE_DECLARE_UNITS(RmsNormUnit, rms_norm)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::RmsNorm> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::RmsNorm::Args& a) noexcept {
    const cpu::RmsNormUnit& unit = cpu::rms_norm_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {a.y.element == Element::q8_act ? unit.q8_act : unit.f32, units};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    return static_cast<std::size_t>(launch.rows *
                                    static_cast<const op::RmsNorm::Args*>(args)->heads);
  }
};

}  // namespace kedge::inline KEDGE_ABI
