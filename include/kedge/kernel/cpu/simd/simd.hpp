// The thin vector layer: 16 virtual F32 lanes on every ISA, so that one kernel text gives the same
// bytes everywhere. A kernel unit defines KEDGE_ISA and one KEDGE_ISA_IS_..., includes this, and
// gets everything in kedge::cpu::<isa>, in an anonymous namespace: two ISAs never share a symbol.
// docs/decisions.md says why not a general vector library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/block.hpp"
#include "kedge/core/config.hpp"

#if defined(KEDGE_ISA_IS_avx2) || defined(KEDGE_ISA_IS_avxvnni) || defined(KEDGE_ISA_IS_avx512)
#include <immintrin.h>
#elif defined(KEDGE_ISA_IS_neon)
#include <arm_neon.h>
#endif

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

#if defined(KEDGE_ISA_IS_avx512)
#include "kedge/kernel/cpu/simd/avx512.hpp"
#elif defined(KEDGE_ISA_IS_avx2) || defined(KEDGE_ISA_IS_avxvnni)
#include "kedge/kernel/cpu/simd/avx2.hpp"
#elif defined(KEDGE_ISA_IS_neon)
#include "kedge/kernel/cpu/simd/neon.hpp"
#elif defined(KEDGE_ISA_IS_scalar)
#include "kedge/kernel/cpu/simd/scalar.hpp"
#else
#error "define KEDGE_ISA and KEDGE_ISA_IS_<isa> before including the vector layer"
#endif

KEDGE_INLINE F32x16 zero() { return set1(0.0f); }

// Products of nibbles are small, so an ISA may sum a block's in its own way, and join what the sum
// starts with behind.
#if !defined(KEDGE_OWN_NIBBLE_SUM)
using NibbleSum = I32x16;
KEDGE_INLINE NibbleSum nibble_begin(I32x16 start) { return start; }
KEDGE_INLINE I32x16 nibble_end(NibbleSum s, I32x16) { return s; }
KEDGE_INLINE NibbleSum dot_nibbles(NibbleSum s, U8x64 w, const std::int8_t* a) {
  return dot_unsigned(s, w, a);
}
#endif
#undef KEDGE_OWN_NIBBLE_SUM

// 32 values as what they round to, which a scale has brought to -127..127, and all that a block
// says of them but for those of a NaN: then nothing is written and false comes back.
#if !defined(KEDGE_OWN_ROUNDING)
KEDGE_INLINE bool store_q8(F32x16 lo, F32x16 hi, float d, BlockQ8Act& block) {
  // A NaN is the second operand of limits that let it pass, and rounds to the lowest integer.
  const auto quantum = [](F32x16 x) __attribute__((always_inline)) {
    return round_to_i32(max(set1(-128.0f), min(set1(128.0f), x)));
  };
  const I32x16 q_lo = quantum(lo), q_hi = quantum(hi);
  // |sum| <= 2032: the F32 tree adds integers exactly
  const float total_lo = reduce_add(to_f32(q_lo)), total_hi = reduce_add(to_f32(q_hi));
  if (total_lo < -0x1p30f || total_hi < -0x1p30f) return false;
  store_i8(block.q, q_lo);
  store_i8(block.q + 16, q_hi);
  const auto sum_lo = static_cast<std::int32_t>(total_lo);
  const auto sum_hi = static_cast<std::int32_t>(total_hi);
  block.d = d;
  block.d_sum = d * static_cast<float>(sum_lo + sum_hi);
  block.neg8_sum = -8 * (sum_lo + sum_hi);
  block.neg16_sum = -16 * (sum_lo + sum_hi);
  block.neg128_sum = -128 * (sum_lo + sum_hi);
  block.neg32_sum[0] = -32 * sum_lo;
  block.neg32_sum[1] = -32 * sum_hi;
  block.unused = 0;
  return true;
}
#endif
#undef KEDGE_OWN_ROUNDING

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
