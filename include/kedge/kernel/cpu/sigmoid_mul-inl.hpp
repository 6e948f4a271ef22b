// sigmoid_mul micro-kernel, per value: x / (1 + e^-gate), with exact division. Stored as F32
// or rounded to int8 blocks while in registers.
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/sigmoid_mul.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

KEDGE_INLINE F32x16 sigmoid_mul(F32x16 x, F32x16 gate) {
  return div(x, add(set1(1.0f), exp(sub(zero(), gate))));
}

template <bool rounded>
void sigmoid_mul_chunks(const void* args, const Launch&, std::size_t begin,
                        std::size_t end) noexcept {
  const auto& a = *static_cast<const op::SigmoidMul::Args*>(args);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, a.x.width(), elementwise_chunk);
    const float* x = a.x.row<float>(c.row) + c.begin;
    const float* gate = a.gate.row<float>(c.row) + c.begin;
    const auto n = static_cast<int>(c.end - c.begin);
    if constexpr (rounded) {
      BlockQ8Act* y = a.y.row<BlockQ8Act>(c.row) + c.begin / 32;
      for (int i = 0; i < n; i += 32)
        round_block(sigmoid_mul(load(x + i), load(gate + i)),
                    sigmoid_mul(load(x + i + 16), load(gate + i + 16)), y[i / 32]);
    } else {
      float* y = a.y.row<float>(c.row) + c.begin;
      int i = 0;
      for (; i + 16 <= n; i += 16) store(y + i, sigmoid_mul(load(x + i), load(gate + i)));
      if (i < n)
        store_first(y + i, sigmoid_mul(load_first(x + i, n - i), load_first(gate + i, n - i)),
                    n - i);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const SigmoidMulUnit KEDGE_UNIT(sigmoid_mul);
const SigmoidMulUnit KEDGE_UNIT(sigmoid_mul) = {KEDGE_ISA::sigmoid_mul_chunks<false>,
                                                KEDGE_ISA::sigmoid_mul_chunks<true>};

}  // namespace kedge::inline KEDGE_ABI::cpu
