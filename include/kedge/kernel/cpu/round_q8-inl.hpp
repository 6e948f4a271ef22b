// Rounds 32 F32 values to one q8_act block: the policy of kernel/ref/round_q8.hpp, same bytes.
#pragma once

#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

KEDGE_INLINE void round_block(F32x16 lo, F32x16 hi, BlockQ8Act& block) {
  // max is exact in any order, so lanes may be folded as the ISA likes.
  const float largest = reduce_max(max(abs(lo), abs(hi)));
  const bool nothing = !(largest >= 0x1p-100f);
  const float inverse = nothing ? 0.0f : 127.0f / largest;
  // A NaN may or may not survive reduce_max. It survives here: limits let it pass as the second
  // operand (an infinity times 127/infinity is one too), and it rounds to the lowest integer.
  const auto quantum = [inverse](F32x16 x) __attribute__((always_inline)) {
    return round_to_i32(max(set1(-128.0f), min(set1(128.0f), mul(x, set1(inverse)))));
  };
  const I32x16 q_lo = quantum(lo), q_hi = quantum(hi);
  // |sum| <= 2032: the F32 tree adds integers exactly
  const float total_lo = reduce_add(to_f32(q_lo)), total_hi = reduce_add(to_f32(q_hi));
  if (total_lo < -0x1p30f || total_hi < -0x1p30f) {
    __builtin_memset(&block, 0, sizeof block);
    block.d = block.d_sum = __builtin_nanf("");
    return;
  }
  store_i8(block.q, q_lo);
  store_i8(block.q + 16, q_hi);
  const auto sum_lo = static_cast<std::int32_t>(total_lo);
  const auto sum_hi = static_cast<std::int32_t>(total_hi);
  block.d = nothing ? 0.0f : largest / 127.0f;
  block.d_sum = block.d * static_cast<float>(sum_lo + sum_hi);
  block.neg8_sum = -8 * (sum_lo + sum_hi);
  block.neg16_sum = -16 * (sum_lo + sum_hi);
  block.neg128_sum = -128 * (sum_lo + sum_hi);
  block.neg32_sum[0] = -32 * sum_lo;
  block.neg32_sum[1] = -32 * sum_hi;
  block.unused = 0;
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
