// matmul with q5_0 weights; core/format/q5_0.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ5_0 : OneBlock, FiveBits, Scale {
  using Packed = format::Q5_0::Packed;
  static constexpr Element element = Element::q5_0;
  static constexpr std::size_t bytes = 16 * sizeof(Packed);

  template <int>
  KEDGE_INLINE static I32x16 start(const BlockQ8Act& a) {
    return set1(a.neg16_sum);
  }
  KEDGE_INLINE static Scales scales(const Super&, int, const std::byte* p) {
    return {halves(p + 16 * offsetof(Packed, d))};
  }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q5_0, matmul_blocks, Q5_0)

}  // namespace kedge::inline KEDGE_ABI::cpu
