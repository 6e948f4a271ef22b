// silu_mul micro-kernel, per value: (gate / (1 + e^-gate)) * up, with exact division. Stored as F32
// or rounded to int8 blocks while in registers.
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/silu_mul.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

KEDGE_INLINE F32x16 silu_mul(F32x16 gate, F32x16 up) {
  return mul(div(gate, add(set1(1.0f), exp(sub(zero(), gate)))), up);
}

template <bool rounded>
void silu_mul_chunks(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::SiluMul::Args*>(args);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, a.gate.width(), elementwise_chunk);
    const float* gate = a.gate.row<float>(c.row) + c.begin;
    const float* up = a.up.row<float>(c.row) + c.begin;
    const auto n = static_cast<int>(c.end - c.begin);
    if constexpr (rounded) {
      BlockQ8Act* y = a.y.row<BlockQ8Act>(c.row) + c.begin / 32;
      for (int i = 0; i < n; i += 32)
        round_block(silu_mul(load(gate + i), load(up + i)),
                    silu_mul(load(gate + i + 16), load(up + i + 16)), y[i / 32]);
    } else {
      float* y = a.y.row<float>(c.row) + c.begin;
      int i = 0;
      for (; i + 16 <= n; i += 16) store(y + i, silu_mul(load(gate + i), load(up + i)));
      if (i < n)
        store_first(y + i, silu_mul(load_first(gate + i, n - i), load_first(up + i, n - i)), n - i);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const SiluMulUnit KEDGE_UNIT(silu_mul);
const SiluMulUnit KEDGE_UNIT(silu_mul) = {KEDGE_ISA::silu_mul_chunks<false>,
                                          KEDGE_ISA::silu_mul_chunks<true>};

}  // namespace kedge::inline KEDGE_ABI::cpu
