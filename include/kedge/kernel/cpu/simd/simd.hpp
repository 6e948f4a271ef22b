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

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
