// matmul with q5_1 weights; core/format/q5_1.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ5_1 : OneBlock, FiveBits, ScaleAndMinimum {
  using Packed = format::Q5_1::Packed;
  static constexpr Element element = Element::q5_1;
  static constexpr std::size_t bytes = 16 * sizeof(Packed);

  KEDGE_INLINE static Scales scales(const Super&, int, const std::byte* p) {
    return {halves(p + 16 * offsetof(Packed, d)), halves(p + 16 * offsetof(Packed, m))};
  }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q5_1, matmul_blocks, Q5_1)

}  // namespace kedge::inline KEDGE_ABI::cpu
