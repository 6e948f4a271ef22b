// exp, log1p and what is made of them over 16 lanes, the same bytes on every ISA.
// exp: Cody and Waite, "Software Manual for the Elementary
// Functions": x = n ln2 + r, |r| <= ln2/2, e^x = 2^n e^r; e^r by its Taylor polynomial
// of degree 7 (truncation r^8/8! < 6e-9 relative). Below -87.3 the result is 0, above 88 it is
// e^88. A NaN stays a NaN.
#pragma once

#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

template <bool any_sign = true>  // false: x is not above 0, as what a maximum was taken from
KEDGE_INLINE F32x16 exp(F32x16 x) {
  const F32x16 lowest = set1(-87.3f);
  const Mask16 underflow = greater(lowest, x);
  F32x16 limited = max(lowest, x);  // a NaN is the second operand: it stays
  if constexpr (any_sign) limited = min(set1(88.0f), limited);
  const I32x16 n = round_to_i32(mul(limited, set1(1.44269504f)));
  const F32x16 nf = to_f32(n);
  F32x16 r = fma(nf, set1(-0.693359375f), limited);  // ln2 in two parts: the first has 9 bits,
  r = fma(nf, set1(2.12194440e-4f), r);              // so that n times it is exact
  F32x16 p = set1(1.0f / 5040.0f);
  p = fma(p, r, set1(1.0f / 720.0f));
  p = fma(p, r, set1(1.0f / 120.0f));
  p = fma(p, r, set1(1.0f / 24.0f));
  p = fma(p, r, set1(1.0f / 6.0f));
  p = fma(p, r, set1(0.5f));
  p = fma(p, r, set1(1.0f));
  p = fma(p, r, set1(1.0f));
  return select(underflow, zero(), exponent_scale(p, n));
}

// log(1 + y) for 0 <= y <= 1, relative error below 3 ulp. With s = y / (2 + y), at most 1/3,
// log(1 + y) = 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + ...): no sum 1 + y that would round small y
// away, and no logarithm of an exponent. The first term left out is below 3e-9 of the result.
KEDGE_INLINE F32x16 log1p_unit(F32x16 y) {
  const F32x16 s = div(y, add(set1(2.0f), y));
  const F32x16 s2 = mul(s, s);
  F32x16 p = set1(1.0f / 15.0f);
  p = fma(p, s2, set1(1.0f / 13.0f));
  p = fma(p, s2, set1(1.0f / 11.0f));
  p = fma(p, s2, set1(1.0f / 9.0f));
  p = fma(p, s2, set1(1.0f / 7.0f));
  p = fma(p, s2, set1(1.0f / 5.0f));
  p = fma(p, s2, set1(1.0f / 3.0f));
  const F32x16 twice = add(s, s);
  return fma(mul(p, s2), twice, twice);
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): nothing overflows. Above 20 it is x, as elsewhere:
// what is added there is below half an ulp.
KEDGE_INLINE F32x16 softplus(F32x16 x) {
  return add(max(zero(), x), log1p_unit(exp(sub(zero(), abs(x)))));
}

// With exact division: 1 / (1 + e^-x).
KEDGE_INLINE F32x16 sigmoid(F32x16 x) {
  return div(set1(1.0f), add(set1(1.0f), exp(sub(zero(), x))));
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
