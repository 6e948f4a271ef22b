// Host side of sigmoid_mul on the CPU: one phase, one unit per 256 values of a row.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/sigmoid_mul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct SigmoidMulUnit {
  PhaseBody f32, q8_act;  // by the element of y
};
KEDGE_DECLARE_UNITS(SigmoidMulUnit, sigmoid_mul)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::SigmoidMul> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::SigmoidMul::Args& a) noexcept {
    const cpu::SigmoidMulUnit& unit = cpu::sigmoid_mul_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {a.y.element == Element::q8_act ? unit.q8_act : unit.f32, units};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::SigmoidMul::Args*>(args);
    return static_cast<std::size_t>(launch.rows *
                                    cpu::chunk_count(a.x.width(), cpu::elementwise_chunk));
  }
};

}  // namespace kedge::inline KEDGE_ABI
