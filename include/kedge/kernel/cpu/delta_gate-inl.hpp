// delta_gate micro-kernel. Plan, per row: 16 decays at a time, where every lane has its own scale
// (a decay per head) or all have one (a decay per channel: head by head); then 16 betas at a time.
#include "kedge/kernel/cpu/delta_gate.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

template <bool bounded>
KEDGE_INLINE F32x16 decay_of(F32x16 x, F32x16 scale, F32x16 lower_bound) {
  if constexpr (bounded) return mul(lower_bound, sigmoid(sub(zero(), mul(scale, x))));
  else return mul(scale, softplus(x));
}

template <bool bounded>
void delta_gate_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::DeltaGate::Args*>(args);
  const auto heads = static_cast<int>(a.b.width());
  const auto channels = static_cast<int>(a.a.width()) / heads;
  // Runs of values that start with a scale of their own: a row of heads, or the channels of a head.
  const int run = channels == 1 ? heads : channels, runs = channels == 1 ? 1 : heads;
  const float* const scales = a.a_scale.as<float>();
  const F32x16 lower_bound = set1(a.lower_bound);
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    for (int h = 0; h < runs; ++h) {
      const float* x = a.a.row<float>(r) + h * run;
      const float* bias = a.dt_bias.as<float>() + h * run;
      float* y = a.decay.row<float>(r) + h * run;
      for (int i = 0; i < run; i += 16) {
        const int n = run - i < 16 ? run - i : 16;
        const F32x16 scale = channels == 1 ? load_first(scales + i, n) : set1(scales[h]);
        const F32x16 sum = add(load_first(x + i, n), load_first(bias + i, n));
        store_first(y + i, decay_of<bounded>(sum, scale, lower_bound), n);
      }
    }
    const float* b = a.b.row<float>(r);
    float* beta = a.beta.row<float>(r);
    for (int i = 0; i < heads; i += 16) {
      const int n = heads - i < 16 ? heads - i : 16;
      store_first(beta + i, sigmoid(load_first(b + i, n)), n);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const DeltaGateUnit KEDGE_UNIT(delta_gate);
const DeltaGateUnit KEDGE_UNIT(delta_gate) = {KEDGE_ISA::delta_gate_rows<false>,
                                              KEDGE_ISA::delta_gate_rows<true>};

}  // namespace kedge::inline KEDGE_ABI::cpu
