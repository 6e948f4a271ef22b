// What the host side of every kernel on the CPU is made of. Units of an ISA see no more than this:
// the Cpu itself, with its executor and what that needs of the standard library, would take more of
// their compile time than most kernels.
#pragma once

#include "kedge/kernel/cpu/phase.hpp"
#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI {

class Cpu;  // backend/cpu.hpp

namespace cpu {

inline std::size_t one_unit_per_row(const void*, const Launch& launch) noexcept {
  return static_cast<std::size_t>(launch.rows);
}
// For operators on logits, which exist only for the rows that somebody asked for.
inline std::size_t one_unit_per_output(const void*, const Launch& launch) noexcept {
  return static_cast<std::size_t>(launch.outputs);
}

}  // namespace cpu

}  // namespace kedge::inline KEDGE_ABI
