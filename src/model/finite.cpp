#include "model/finite.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kedge/core/block.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

// All bits of the exponent set: NaN and infinity. A group is looked at whole, without a branch per
// value, so that the compiler uses vectors.
template <class Bits, Bits exponent>
std::int64_t scan(const std::byte* row, std::int64_t width) noexcept {
  constexpr std::int64_t group = 64;
  for (std::int64_t first = 0; first < width; first += group) {
    Bits bits[group] = {};
    const std::int64_t count = std::min(group, width - first);
    std::memcpy(bits, row + static_cast<std::size_t>(first) * sizeof(Bits),
                static_cast<std::size_t>(count) * sizeof(Bits));
    unsigned bad = 0;
    for (const Bits b : bits) bad |= (b & exponent) == exponent;
    if (bad == 0) continue;
    for (std::int64_t i = 0; i < count; ++i)
      if ((bits[i] & exponent) == exponent) return first + i;
  }
  return -1;
}

constexpr std::uint16_t f16_exponent = 0x7C00;

// F16 scales at byte `first` (and, when not the same, `second`) of every block.
std::int64_t scan_scales(Element element, const std::byte* row, std::int64_t width,
                         std::size_t first, std::size_t second) noexcept {
  const ElementTraits t = traits(element);
  for (std::int64_t block = 0; block < width / t.block; ++block, row += t.bytes)
    for (const std::size_t at : {first, second}) {
      std::uint16_t bits;
      std::memcpy(&bits, row + at, sizeof bits);
      if ((bits & f16_exponent) == f16_exponent) return block * t.block;
    }
  return -1;
}

}  // namespace

std::int64_t find_not_finite(Element element, const std::byte* row, std::int64_t width) noexcept {
  switch (element) {
    case Element::f32:
      return scan<std::uint32_t, 0x7F800000u>(row, width);
    case Element::f16:
      return scan<std::uint16_t, f16_exponent>(row, width);
    case Element::bf16:
      return scan<std::uint16_t, 0x7F80>(row, width);
    case Element::q8_0:
    case Element::q4_0:
      return scan_scales(element, row, width, 0, 0);
    case Element::q4_1:
      return scan_scales(element, row, width, 0, offsetof(BlockQ4_1, m));
    case Element::q6_k:
      return scan_scales(element, row, width, offsetof(BlockQ6_K, d), offsetof(BlockQ6_K, d));
    default:
      return -1;
  }
}

}  // namespace kedge::inline KEDGE_ABI
