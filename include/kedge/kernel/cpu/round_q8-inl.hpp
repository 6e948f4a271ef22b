// Rounds 32 F32 values to one q8_act block: the policy of kernel/ref/round_q8.hpp, same bytes.
#pragma once

#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

KEDGE_INLINE void round_block(F32x16 lo, F32x16 hi, BlockQ8Act& block) {
  // max is exact in any order, so lanes may be folded as the ISA likes. A NaN may or may not
  // survive it; it survives in the product (an infinity times 127/infinity is one too).
  const float largest = reduce_max(max(abs(lo), abs(hi)));
  const bool nothing = !(largest >= 0x1p-100f);
  const F32x16 inverse = set1(nothing ? 0.0f : 127.0f / largest);
  const float d = nothing ? 0.0f : largest / 127.0f;
  if (store_q8(mul(lo, inverse), mul(hi, inverse), d, block)) return;
  __builtin_memset(&block, 0, sizeof block);
  block.d = block.d_sum = __builtin_nanf("");
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
