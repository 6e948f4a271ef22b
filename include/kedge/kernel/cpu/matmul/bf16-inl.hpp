// matmul with bf16 weights; core/format/bf16.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_floats-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulBF16 {
  static constexpr Element element = Element::bf16;
  using Stored = std::uint16_t;
  KEDGE_INLINE static F32x16 weights(const std::uint16_t* p) { return load_bf16(p); }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(bf16, matmul_floats, BF16)

}  // namespace kedge::inline KEDGE_ABI::cpu
