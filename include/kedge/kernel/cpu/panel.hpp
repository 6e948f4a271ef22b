// Layout::panel16: a weight matrix cut into panels of 16 rows, interleaved so that lane l of a
// 16-lane vector is row l. One layout for every ISA, so a packed file serves all of them. Rows are
// padded to a multiple of 16 with zeros; panels follow each other without a gap. Within a panel,
// for k ascending, are the blocks of all 16 rows: each block in its format's order (Packed,
// core/format/), and of every part of that order row 0's, row 1's, ... row 15's. So the 16 bytes of
// nibbles of a q4_0 block are four vectors of 64 bytes, byte 4 l + j of vector g being byte 4 g + j
// of row l, and its scale is 16 halves behind them. Every format takes as many bytes as in its
// file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/block.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

constexpr std::int64_t panel_rows = 16;

KEDGE_INLINE constexpr std::size_t panel_bytes(Element element, std::int64_t width) noexcept {
  return static_cast<std::size_t>(panel_rows) * row_bytes(element, width);
}
constexpr std::int64_t panel_count(std::int64_t rows) noexcept {
  return (rows + panel_rows - 1) / panel_rows;
}
// Bytes of a packed matrix; width must be a multiple of the format's block.
constexpr std::size_t packed_bytes(Element element, std::int64_t rows,
                                   std::int64_t width) noexcept {
  return static_cast<std::size_t>(panel_count(rows)) * panel_bytes(element, width);
}

namespace panel {

// Copies one row's Packed into its places in a panel's block, or back.
struct Interleave {
  const std::byte* packed;
  std::byte* panel;
  std::size_t lane, at = 0;

  template <std::size_t bytes>
  KEDGE_INLINE void run(int count) noexcept {
    for (int i = 0; i < count; ++i, at += bytes)
      __builtin_memcpy(panel + 16 * at + bytes * lane, packed + at, bytes);
  }
};
struct Separate {
  const std::byte* panel;
  std::byte* packed;
  std::size_t lane, at = 0;

  template <std::size_t bytes>
  KEDGE_INLINE void run(int count) noexcept {
    for (int i = 0; i < count; ++i, at += bytes)
      __builtin_memcpy(packed + at, panel + 16 * at + bytes * lane, bytes);
  }
};

}  // namespace panel

// Decodes row `lane` of one panel: the same bits as decode_row of the unpacked row. For lookups and
// tests; products never do this.
KEDGE_INLINE void decode_panel_row(Element element, const std::byte* panel, std::int64_t lane,
                                   std::int64_t width, float* out) noexcept {
  const auto decode = [=]<class Format>() __attribute__((always_inline)) {
    typename Format::Packed packed;
    const std::byte* from = panel;
    for (std::int64_t i = 0; i < width; i += Format::values, from += 16 * sizeof packed) {
      panel::Separate separate{from, reinterpret_cast<std::byte*>(&packed),
                               static_cast<std::size_t>(lane)};
      Format::chunks(separate);
      Format::decode(Format::unpack(packed), out + i);
    }
  };
  visit_format(element, decode);
}

// Decodes row `row` of a weight matrix in either layout.
KEDGE_INLINE void decode_weight_row(const Tensor& weight, std::int64_t row, float* out) noexcept {
  if (weight.layout == Layout::panel16) {
    const std::size_t bytes = panel_bytes(weight.element, weight.width());
    decode_panel_row(weight.element,
                     weight.data + static_cast<std::size_t>(row / panel_rows) * bytes,
                     row % panel_rows, weight.width(), out);
  } else {
    decode_row(weight.element, weight.row<std::byte>(row), weight.width(), out);
  }
}

// Packs panels [first_panel, first_panel + panels) of a row_major matrix. `packed` is the start of
// the whole packed matrix (packed_bytes), so that ranges of panels can be packed side by side.
inline void pack(const Tensor& weight, std::byte* packed, std::int64_t first_panel,
                 std::int64_t panels) noexcept {
  const std::size_t stride = panel_bytes(weight.element, weight.width());
  const auto pack_row = [&]<class Format>(const std::byte* source, std::size_t lane,
                                          std::byte* target) {
    static_assert(sizeof(typename Format::Packed) == sizeof(typename Format::Block));
    typename Format::Block block;
    for (std::int64_t i = 0; i < weight.width(); i += Format::values) {
      __builtin_memcpy(&block, source, sizeof block);
      const typename Format::Packed p = Format::pack(block);
      panel::Interleave interleave{reinterpret_cast<const std::byte*>(&p), target, lane};
      Format::chunks(interleave);
      source += sizeof block;
      target += 16 * sizeof block;
    }
  };
  for (std::int64_t p = first_panel; p < first_panel + panels; ++p) {
    std::byte* const target = packed + static_cast<std::size_t>(p) * stride;
    if ((p + 1) * panel_rows > weight.rows()) __builtin_memset(target, 0, stride);
    for (std::int64_t r = p * panel_rows; r < (p + 1) * panel_rows && r < weight.rows(); ++r)
      visit_format(weight.element, [&]<class Format>() {
        pack_row.template operator()<Format>(weight.row<std::byte>(r),
                                             static_cast<std::size_t>(r - p * panel_rows), target);
      });
  }
}

}  // namespace kedge::inline KEDGE_ABI::cpu
