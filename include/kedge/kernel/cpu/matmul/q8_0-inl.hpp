// matmul with q8_0 weights; core/format/q8_0.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ8_0 : OneBlock, WholeSums, Scale {
  using Packed = format::Q8_0::Packed;
  static constexpr Element element = Element::q8_0;
  static constexpr std::size_t bytes = 16 * sizeof(Packed);

  using Weights = SignedWeights;
  template <int g>
  KEDGE_INLINE static Weights group(const std::byte* p) {
    return signed_weights(load_u8(p + g * 64));
  }
  template <int>
  KEDGE_INLINE static I32x16 start(const BlockQ8Act& a) {
    return signed_start(a);
  }
  KEDGE_INLINE static I32x16 dot(I32x16 s, Weights w, const std::int8_t* a) {
    return dot_signed(s, w, a);
  }
  KEDGE_INLINE static Scales scales(const Super&, int, const std::byte* p) {
    return {halves(p + 16 * offsetof(Packed, d))};
  }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q8_0, matmul_blocks, Q8_0)

}  // namespace kedge::inline KEDGE_ABI::cpu
