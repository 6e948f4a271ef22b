// markov_bias micro-kernel: 16 values at a time, the state of an rnn written on the way; z is
// stored as F32 or rounded to int8 blocks while in registers.
#include "kedge/kernel/cpu/markov_bias.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using op::MarkovBias;

KEDGE_INLINE F32x16 markov_tanh(F32x16 x) {
  return sub(set1(1.0f), div(set1(2.0f), add(set1(1.0f), exp(add(x, x)))));
}

// z of up to 16 values; `count` of them exist.
template <int head>
KEDGE_INLINE F32x16 markov_z(const float* e, const float* projection, float* state, int rank,
                             int count) {
  const F32x16 token = load_first(e, count);
  if constexpr (head == MarkovBias::vanilla) return token;
  const F32x16 gate = sigmoid(load_first(projection, count));
  if constexpr (head == MarkovBias::gated) return mul(gate, token);
  const F32x16 candidate = markov_tanh(load_first(projection + rank, count));
  const F32x16 kept = mul(gate, load_first(state, count));
  store_first(state, fma(sub(set1(1.0f), gate), candidate, kept), count);
  return markov_tanh(load_first(projection + 2 * rank, count));
}

template <int head, bool rounded>
void markov_chunks(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const MarkovBias::Args*>(args);
  const auto rank = static_cast<int>(a.e.width());
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, rank, elementwise_chunk);
    const float* e = a.e.row<float>(c.row) + c.begin;
    const float* projection =
        head == MarkovBias::vanilla ? nullptr : a.projection.row<float>(c.row) + c.begin;
    float* state = head == MarkovBias::rnn ? a.state.row<float>(c.row) + c.begin : nullptr;
    const auto n = static_cast<int>(c.end - c.begin);
    const auto z = [&](int i) __attribute__((always_inline)) {
      return markov_z<head>(e + i, projection + i, state + i, rank, n - i < 16 ? n - i : 16);
    };
    if constexpr (rounded) {
      BlockQ8Act* y = a.z.row<BlockQ8Act>(c.row) + c.begin / 32;
      for (int i = 0; i < n; i += 32) {
        const F32x16 low = z(i);
        round_block(low, z(i + 16), y[i / 32]);
      }
    } else {
      float* y = a.z.row<float>(c.row) + c.begin;
      for (int i = 0; i < n; i += 16) store_first(y + i, z(i), n - i < 16 ? n - i : 16);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const MarkovBiasUnit KEDGE_UNIT(markov_bias);
const MarkovBiasUnit KEDGE_UNIT(markov_bias) = {
    {{KEDGE_ISA::markov_chunks<0, false>, KEDGE_ISA::markov_chunks<0, true>},
     {KEDGE_ISA::markov_chunks<1, false>, KEDGE_ISA::markov_chunks<1, true>},
     {KEDGE_ISA::markov_chunks<2, false>, KEDGE_ISA::markov_chunks<2, true>}}};

}  // namespace kedge::inline KEDGE_ABI::cpu
