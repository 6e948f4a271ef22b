// The vector layer, opened for tests: one table per ISA over arrays.
#pragma once

#include <cstdint>

#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

struct SimdProbeUnit {
  void (*exp)(const float* x, float* y, int count) noexcept;  // count divisible by 16
  void (*softplus)(const float* x, float* y, int count) noexcept;
  void (*sigmoid)(const float* x, float* y, int count) noexcept;
  void (*round_to_i32)(const float* x, std::int32_t* y) noexcept;  // 16 values, as below
  float (*reduce_add)(const float* x) noexcept;
  float (*reduce_max)(const float* x) noexcept;
  void (*max)(const float* a, const float* b, float* y) noexcept;
  void (*fma)(const float* a, const float* b, const float* c, float* y) noexcept;
  void (*copy_first)(const float* x, float* y, int n) noexcept;  // lanes from n on: 0 into y[16..]
  void (*load_f16)(const std::uint16_t* x, float* y) noexcept;
  void (*store_f16)(const float* x, std::uint16_t* y) noexcept;
};
KEDGE_DECLARE_UNITS(SimdProbeUnit, simd_probe)

}  // namespace kedge::inline KEDGE_ABI::cpu
