// What the pages of attention and the walk over them share: a query's state (o [value_width], m
// [16], l [16]) and how later positions are folded into it; op/attention.hpp has the formula.
#pragma once

#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"
#include "kedge/state/kv_page.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

constexpr int max_head_dim = 256;
constexpr int positions = static_cast<int>(page_positions);

struct Sums {
  F32x16 m, l;
};

// Folds (o, m, l) of later positions into a state.
[[maybe_unused]] __attribute__((noinline)) void fold(float* state, int width, Sums later,
                                                     const float* o) {
  const F32x16 m = load(state + width), l = load(state + width + 16);
  // A NaN in m is in l as well, and it reaches l and o through e or as it is.
  const F32x16 e = exp<false>(sub(zero(), abs(sub(m, later.m))));
  const Mask16 grows = greater(later.m, m);
  const F32x16 a = select(grows, e, set1(1.0f)), b = select(grows, set1(1.0f), e);
  store(state + width, select(grows, later.m, m));
  store(state + width + 16, fma(later.l, b, mul(l, a)));
  for (int d = 0; d < width; d += 16)
    store(state + d, fma(load(o + d), b, mul(load(state + d), a)));
}

// The state of a query that has seen nothing: folding anything into it gives that, bit for bit.
KEDGE_INLINE void empty_state(float* state, int width) {
  for (int d = 0; d < width; d += 16) store(state + d, zero());
  store(state + width, set1(-__FLT_MAX__));
  store(state + width + 16, zero());
}

}  // namespace
}  // namespace KEDGE_ISA
}  // namespace kedge::inline KEDGE_ABI::cpu
