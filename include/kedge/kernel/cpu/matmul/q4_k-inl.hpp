// matmul with q4_k weights; core/format/q4_k.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_k-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ4_K : KScales, Nibbles {
  using Packed = format::Q4_K::Packed;
  static constexpr Element element = Element::q4_k;
  static constexpr std::size_t header = 16 * offsetof(Packed, q);
  static constexpr std::size_t bytes = 16 * (sizeof(Packed) - offsetof(Packed, q)) / blocks;
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q4_k, matmul_blocks, Q4_K)

}  // namespace kedge::inline KEDGE_ABI::cpu
