// Element: what one tensor is made of. A block format stores `block` consecutive values of a row in
// `bytes` bytes. The weight formats are those of core/format/list.hpp; decodes are in
// core/block.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/config.hpp"
#include "kedge/core/format/list.hpp"

namespace kedge::inline KEDGE_ABI {

enum class Element : std::uint8_t {
#define KEDGE_FORMAT(stem, Type) stem,
  KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
      i32,
  q8_act,
  count
};

// Elements before this one are formats of weights: tables by format have so many entries.
constexpr unsigned weight_formats = static_cast<unsigned>(Element::i32);

struct ElementTraits {
  const char* name;
  std::uint32_t block;  // values per block
  std::uint32_t bytes;  // bytes per block
  bool weight;          // may be a matrix of a model
};

// A switch, which becomes a constant table: kernels ask for rows within loops, and a local table
// would be written to the stack each time.
KEDGE_INLINE constexpr ElementTraits traits(Element element) noexcept {
  switch (element) {
#define KEDGE_FORMAT(stem, Type) \
  case Element::stem:            \
    return {format::Type::name, format::Type::values, sizeof(format::Type::Block), true};
    KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
    case Element::i32:
      return {"i32", 1, 4, false};
    case Element::q8_act:
      return {"q8_act", 32, 64, false};
    default:
      return {"?", 1, 0, false};
  }
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
