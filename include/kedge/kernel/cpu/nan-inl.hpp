// Notices a NaN while values stream by: comparisons alone would skip it.
#pragma once

#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// `seen` becomes 1 in lanes where v is a NaN: the only value whose magnitude is not above -1.
KEDGE_INLINE F32x16 note_nan(F32x16 seen, F32x16 v) {
  return select(greater(abs(v), set1(-1.0f)), seen, set1(1.0f));
}

// What operators store for a row that holds a NaN; its sign and payload would depend on the ISA.
constexpr std::uint32_t nan_bits = 0x7FC00000u;

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
