// F16 and BF16 to and from F32, in integer arithmetic so that every compiler, ISA and rounding mode
// gives the same bits. Kernel units use these, so they call no inline function of the standard
// library (std::bit_cast): it would become a weak symbol without optimization. To F16 and BF16:
// round to nearest, ties to even; NaN stays NaN.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

KEDGE_INLINE constexpr float f16_to_f32(std::uint16_t h) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16;
  const std::uint32_t exponent = (h >> 10) & 31u;
  std::uint32_t mantissa = h & 1023u;
  if (exponent == 31) return __builtin_bit_cast(float, sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0)
    return __builtin_bit_cast(float, sign | ((exponent + 112) << 23) | (mantissa << 13));
  if (mantissa == 0) return __builtin_bit_cast(float, sign);
  const int shift = __builtin_clz(mantissa) - 21;  // bring the leading one to bit 10
  mantissa = (mantissa << shift) & 1023u;
  return __builtin_bit_cast(
      float, sign | (static_cast<std::uint32_t>(113 - shift) << 23) | (mantissa << 13));
}

KEDGE_INLINE constexpr std::uint16_t f32_to_f16(float value) noexcept {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u)  // quiet NaN, upper payload kept, as hardware does
    return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // >= 65520
  if (magnitude < 0x33000001u) return static_cast<std::uint16_t>(sign);             // <= 2^-25
  std::uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  int shift = 13;
  std::uint32_t base = 0;
  if (exponent < -14) shift = -exponent - 1;  // subnormal: value = mantissa * 2^(exponent-23)
  else {
    base = static_cast<std::uint32_t>(exponent + 15) << 10;
    mantissa &= 0x7FFFFFu;
  }
  const std::uint32_t kept = mantissa >> shift;
  const std::uint32_t rest = mantissa & ((1u << shift) - 1u);
  const std::uint32_t half = 1u << (shift - 1);
  const std::uint32_t up = rest > half || (rest == half && (kept & 1u)) ? 1u : 0u;
  return static_cast<std::uint16_t>(sign | (base + kept + up));
}

KEDGE_INLINE constexpr float bf16_to_f32(std::uint16_t h) noexcept {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(h) << 16);
}

KEDGE_INLINE constexpr std::uint16_t f32_to_bf16(float value) noexcept {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace kedge::inline KEDGE_ABI
