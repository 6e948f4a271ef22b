// The twelve bytes of 6-bit scales and minima that q4_k and q5_k share, for eight sub-blocks of 32:
//   bytes 0..3   scale j in the low six bits, upper two bits of scale j + 4 above
//   bytes 4..7   the same of the minima
//   bytes 8..11  low four bits of scale j + 4, low four bits of minimum j + 4 above
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

namespace format {

KEDGE_INLINE unsigned k_scale(const std::uint8_t* s, unsigned j) noexcept {
  return j < 4 ? s[j] & 63u : (s[j + 4] & 15u) | static_cast<unsigned>(s[j - 4] >> 6) << 4;
}
KEDGE_INLINE unsigned k_minimum(const std::uint8_t* s, unsigned j) noexcept {
  return j < 4 ? s[j + 4] & 63u : (s[j + 4] >> 4) | static_cast<unsigned>(s[j] >> 6) << 4;
}

// Writes scales and minima of all eight sub-blocks, each 0..63.
KEDGE_INLINE void set_k_scales(std::uint8_t* s, const std::uint8_t* scale,
                               const std::uint8_t* minimum) noexcept {
  for (unsigned j = 0; j < 4; ++j) {
    s[j] = static_cast<std::uint8_t>(scale[j] | (scale[j + 4] >> 4) << 6);
    s[j + 4] = static_cast<std::uint8_t>(minimum[j] | (minimum[j + 4] >> 4) << 6);
    s[j + 8] = static_cast<std::uint8_t>((scale[j + 4] & 15) | (minimum[j + 4] & 15) << 4);
  }
}

}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
