#include "kedge/kernel/cpu/simd/math-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"
#include "unit/simd_probe.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

void probe_exp(const float* x, float* y, int count) noexcept {
  for (int i = 0; i < count; i += 16) store(y + i, exp(load(x + i)));
}
void probe_softplus(const float* x, float* y, int count) noexcept {
  for (int i = 0; i < count; i += 16) store(y + i, softplus(load(x + i)));
}
void probe_sigmoid(const float* x, float* y, int count) noexcept {
  for (int i = 0; i < count; i += 16) store(y + i, sigmoid(load(x + i)));
}
void probe_round(const float* x, std::int32_t* y) noexcept { store(y, round_to_i32(load(x))); }
float probe_add(const float* x) noexcept { return reduce_add(load(x)); }
float probe_largest(const float* x) noexcept { return reduce_max(load(x)); }
void probe_max(const float* a, const float* b, float* y) noexcept {
  store(y, max(load(a), load(b)));
}
void probe_fma(const float* a, const float* b, const float* c, float* y) noexcept {
  store(y, fma(load(a), load(b), load(c)));
}
void probe_first(const float* x, float* y, int n) noexcept {
  const F32x16 v = load_first(x, n);
  store_first(y, v, n);
  store(y + 16, v);
}
void probe_load_f16(const std::uint16_t* x, float* y) noexcept { store(y, load_f16(x)); }
void probe_store_f16(const float* x, std::uint16_t* y) noexcept { store_f16(y, load(x)); }

}  // namespace
}  // namespace KEDGE_ISA

extern const SimdProbeUnit KEDGE_UNIT(simd_probe);
const SimdProbeUnit KEDGE_UNIT(simd_probe) = {
    KEDGE_ISA::probe_exp,      KEDGE_ISA::probe_softplus, KEDGE_ISA::probe_sigmoid,
    KEDGE_ISA::probe_round,    KEDGE_ISA::probe_add,      KEDGE_ISA::probe_largest,
    KEDGE_ISA::probe_max,      KEDGE_ISA::probe_fma,      KEDGE_ISA::probe_first,
    KEDGE_ISA::probe_load_f16, KEDGE_ISA::probe_store_f16};

}  // namespace kedge::inline KEDGE_ABI::cpu
