// Rounds 32 F32 values to one q8_act block: the policy of kernel/ref/round_q8.hpp, same bytes.
#pragma once

#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

KEDGE_INLINE void round_block(F32x16 lo, F32x16 hi, BlockQ8Act& block) {
  // max is exact in any order, so lanes may be folded as the ISA likes.
  const float largest = reduce_max(max(abs(lo), abs(hi)));
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  const I32x16 q_lo = round_to_i32(mul(lo, set1(inverse)));
  const I32x16 q_hi = round_to_i32(mul(hi, set1(inverse)));
  store_i8(block.q, q_lo);
  store_i8(block.q + 16, q_hi);
  // |sum| <= 2032: the F32 tree adds integers exactly
  const auto sum_lo = static_cast<std::int32_t>(reduce_add(to_f32(q_lo)));
  const auto sum_hi = static_cast<std::int32_t>(reduce_add(to_f32(q_hi)));
  block.d = largest / 127.0f;
  block.d_sum = block.d * static_cast<float>(sum_lo + sum_hi);
  block.neg8_sum = -8 * (sum_lo + sum_hi);
  block.neg128_sum = -128 * (sum_lo + sum_hi);
  block.neg32_sum[0] = -32 * sum_lo;
  block.neg32_sum[1] = -32 * sum_hi;
  block.unused[0] = block.unused[1] = 0;
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
