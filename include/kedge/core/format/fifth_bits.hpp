// The fifth bits of 32 values, for q5_0, q5_1 and q5_k. A file's word has bit k for value k. A
// panel has bit g of byte j for value 4 g + j, so that one shift of all bytes brings the bits of a
// group of four values to where its nibbles are.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::format {

KEDGE_INLINE std::uint32_t load_u32(const std::uint8_t* p) noexcept {
  std::uint32_t word;
  __builtin_memcpy(&word, p, 4);
  return word;
}
KEDGE_INLINE void store_u32(std::uint8_t* p, std::uint32_t word) noexcept {
  __builtin_memcpy(p, &word, 4);
}

// Value i of 32, 0..31: nibbles in the order of q4_0, fifth bits in the order of a file.
KEDGE_INLINE int five_bits(const std::uint8_t* nibbles, std::uint32_t high, unsigned i) noexcept {
  const unsigned low = nibbles[i % 16] >> (i / 16 * 4) & 15u;
  return static_cast<int>(low | (high >> i & 1u) << 4);
}

KEDGE_INLINE std::uint32_t spread_fifth_bits(std::uint32_t word) noexcept {
  std::uint32_t spread = 0;
  for (unsigned k = 0; k < 32; ++k) spread |= (word >> k & 1u) << (k % 4 * 8 + k / 4);
  return spread;
}
KEDGE_INLINE std::uint32_t join_fifth_bits(std::uint32_t spread) noexcept {
  std::uint32_t word = 0;
  for (unsigned k = 0; k < 32; ++k) word |= (spread >> (k % 4 * 8 + k / 4) & 1u) << k;
  return word;
}

}  // namespace kedge::inline KEDGE_ABI::format
