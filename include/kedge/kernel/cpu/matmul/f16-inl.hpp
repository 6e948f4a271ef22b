// matmul with f16 weights; core/format/f16.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_floats-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulF16 {
  static constexpr Element element = Element::f16;
  using Stored = std::uint16_t;
  KEDGE_INLINE static F32x16 weights(const std::uint16_t* p) { return load_f16(p); }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(f16, matmul_floats, F16)

}  // namespace kedge::inline KEDGE_ABI::cpu
