// Element: what one tensor is made of. A block format stores `block` consecutive values of a row in
// `bytes` bytes. Storage structs and reference decodes are in core/block.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

enum class Element : std::uint8_t { f32, f16, bf16, q8_0, q4_0, q4_1, q6_k, i32, q8_act, count };

struct ElementTraits {
  const char* name;
  std::uint32_t block;  // values per block
  std::uint32_t bytes;  // bytes per block
  bool weight;          // may be a matrix of a model
};

KEDGE_INLINE constexpr ElementTraits traits(Element element) noexcept {
  constexpr ElementTraits table[] = {
      {"f32", 1, 4, true},      {"f16", 1, 2, true},    {"bf16", 1, 2, true},
      {"q8_0", 32, 34, true},   {"q4_0", 32, 18, true}, {"q4_1", 32, 20, true},
      {"q6_k", 256, 210, true}, {"i32", 1, 4, false},   {"q8_act", 32, 64, false},
  };
  return table[static_cast<unsigned>(element)];
}

KEDGE_INLINE constexpr const char* to_string(Element element) noexcept {
  return traits(element).name;
}

// Bytes of a row of `width` values; width must be a multiple of the block.
KEDGE_INLINE constexpr std::size_t row_bytes(Element element, std::int64_t width) noexcept {
  const ElementTraits t = traits(element);
  return static_cast<std::size_t>(width) / t.block * t.bytes;
}

// Whether matrix products with this weight take activations rounded to int8 (q8_act) or F32 ones.
KEDGE_INLINE constexpr bool is_quantized(Element element) noexcept {
  return traits(element).block > 1;
}

}  // namespace kedge::inline KEDGE_ABI
