// Host side of markov_bias on the CPU: one phase, one unit per 256 values of a row.
#pragma once

#include "kedge/kernel/cpu/chunk.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/markov_bias.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct MarkovBiasUnit {
  PhaseBody body[3][2];  // [head][z is q8_act]
};
KEDGE_DECLARE_UNITS(MarkovBiasUnit, markov_bias)
}  // namespace cpu

template <>
struct Kernel<Cpu, op::MarkovBias> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::MarkovBias::Args& a) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {
        cpu::markov_bias_unit(isa).body[a.head][a.z.element == Element::q8_act], units};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    const auto& a = *static_cast<const op::MarkovBias::Args*>(args);
    return static_cast<std::size_t>(launch.rows *
                                    cpu::chunk_count(a.e.width(), cpu::elementwise_chunk));
  }
};

}  // namespace kedge::inline KEDGE_ABI
