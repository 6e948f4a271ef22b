// matmul with f32 weights; core/format/f32.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_floats-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulF32 {
  static constexpr Element element = Element::f32;
  using Stored = float;
  KEDGE_INLINE static F32x16 weights(const float* p) { return load(p); }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(f32, matmul_floats, F32)

}  // namespace kedge::inline KEDGE_ABI::cpu
