// How the values of a cache are loaded and stored, 16 at a time. `block` values share a scale; 0:
// none.
#pragma once

#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

struct CachedF32 {
  using Stored = float;
  static constexpr int block = 0;
  KEDGE_INLINE static F32x16 load(const float* p) { return KEDGE_ISA::load(p); }
  KEDGE_INLINE static void store(float* p, F32x16 x) { KEDGE_ISA::store(p, x); }
};
struct CachedF16 {
  using Stored = std::uint16_t;
  static constexpr int block = 0;
  KEDGE_INLINE static F32x16 load(const std::uint16_t* p) { return load_f16(p); }
  KEDGE_INLINE static void store(std::uint16_t* p, F32x16 x) { store_f16(p, x); }
};
struct CachedBF16 {
  using Stored = std::uint16_t;
  static constexpr int block = 0;
  KEDGE_INLINE static F32x16 load(const std::uint16_t* p) { return load_bf16(p); }
  KEDGE_INLINE static void store(std::uint16_t* p, F32x16 x) { store_bf16(p, x); }
};
struct CachedQ8_0 {
  using Stored = std::int8_t;
  static constexpr int block = 32;
  KEDGE_INLINE static F32x16 load(const std::int8_t* p) { return to_f32(load_i8(p)); }
};

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
