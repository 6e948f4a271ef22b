// matmul with q4_1 weights; core/format/q4_1.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ4_1 : OneBlock, Nibbles, ScaleAndMinimum {
  using Packed = format::Q4_1::Packed;
  static constexpr Element element = Element::q4_1;
  static constexpr std::size_t bytes = 16 * sizeof(Packed);

  KEDGE_INLINE static Scales scales(const Super&, int, const std::byte* p) {
    return {halves(p + 16 * offsetof(Packed, d)), halves(p + 16 * offsetof(Packed, m))};
  }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q4_1, matmul_blocks, Q4_1)

}  // namespace kedge::inline KEDGE_ABI::cpu
