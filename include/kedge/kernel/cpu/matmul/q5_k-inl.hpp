// matmul with q5_k weights; core/format/q5_k.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_k-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ5_K : KScales, FiveBits {
  using Packed = format::Q5_K::Packed;
  static constexpr Element element = Element::q5_k;
  static constexpr std::size_t header = 16 * offsetof(Packed, part);
  static constexpr std::size_t bytes = 16 * (sizeof(Packed) - offsetof(Packed, part)) / blocks;
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q5_k, matmul_blocks, Q5_K)

}  // namespace kedge::inline KEDGE_ABI::cpu
