#include "model/finite.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

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

bool is_bad(std::uint16_t half) noexcept { return (half & f16_exponent) == f16_exponent; }

// Whether one of the F16 scales of a block is none: every block format calls them d, m and dmin.
template <class Block>
bool has_bad_scale(const Block& block) noexcept {
  bool bad = is_bad(block.d);
  if constexpr (requires { block.m; }) bad = bad || is_bad(block.m);
  if constexpr (requires { block.dmin; }) bad = bad || is_bad(block.dmin);
  return bad;
}

template <class Format>
std::int64_t scan_blocks(const std::byte* row, std::int64_t width) noexcept {
  typename Format::Block block;
  for (std::int64_t i = 0; i < width; i += Format::values, row += sizeof block) {
    std::memcpy(&block, row, sizeof block);
    if (has_bad_scale(block)) return i;
  }
  return -1;
}

}  // namespace

std::int64_t find_not_finite(Element element, const std::byte* row, std::int64_t width) noexcept {
  std::int64_t found = -1;
  visit_format(element, [&]<class Format>() {
    if constexpr (Format::values > 1) found = scan_blocks<Format>(row, width);
    else if constexpr (std::is_same_v<Format, format::F32>)
      found = scan<std::uint32_t, 0x7F800000u>(row, width);
    else if constexpr (std::is_same_v<Format, format::F16>)
      found = scan<std::uint16_t, f16_exponent>(row, width);
    else found = scan<std::uint16_t, 0x7F80>(row, width);
  });
  return found;
}

}  // namespace kedge::inline KEDGE_ABI
