// matmul with q4_0 weights; core/format/q4_0.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ4_0 : OneBlock, Nibbles, Scale {
  using Packed = format::Q4_0::Packed;
  static constexpr Element element = Element::q4_0;
  static constexpr std::size_t bytes = 16 * sizeof(Packed);

  template <int>
  KEDGE_INLINE static I32x16 start(const BlockQ8Act& a) {
    return set1(a.neg8_sum);
  }
  KEDGE_INLINE static Scales scales(const Super&, int, const std::byte* p) {
    return {halves(p + 16 * offsetof(Packed, d))};
  }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q4_0, matmul_blocks, Q4_0)

}  // namespace kedge::inline KEDGE_ABI::cpu
