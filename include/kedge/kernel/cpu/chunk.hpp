// Rows cut into chunks of a fixed length: one row then keeps several workers busy. The cut is a
// function of the width alone, and no chunk's result depends on another's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

// Values per unit of an elementwise operator: whole q8_act blocks, and long enough that picking a
// unit costs little beside computing it.
constexpr std::int64_t elementwise_chunk = 256;

// Values per unit of a search through a row of logits.
constexpr std::int64_t search_chunk = 4096;

KEDGE_INLINE constexpr std::int64_t chunk_count(std::int64_t width, std::int64_t chunk) noexcept {
  return (width + chunk - 1) / chunk;
}

// Values [begin, end) of one row.
struct RowChunk {
  std::int64_t row, index, begin, end;
};

KEDGE_INLINE RowChunk row_chunk(std::size_t unit, std::int64_t width, std::int64_t chunk) noexcept {
  const std::int64_t per_row = chunk_count(width, chunk);
  const auto u = static_cast<std::int64_t>(unit);
  const std::int64_t index = u % per_row, begin = index * chunk;
  return {u / per_row, index, begin, begin + chunk < width ? begin + chunk : width};
}

}  // namespace kedge::inline KEDGE_ABI::cpu
