// Layout::panel16: a weight matrix cut into panels of 16 rows, interleaved so that lane l of a
// 16-lane vector is row l. One layout for every ISA, so a packed file serves all of them. Rows are
// padded to a multiple of 16 with zeros; panels follow each other without a gap. Within a panel, in
// the order in which a product reads it, for k ascending:
//   f32 f16 bf16  per k: 16 weights.
//   q8_0          per 32 values 544 bytes: 8 groups of 64 bytes, byte 4l+j of group g is q[4g+j] of
//                 row l, signed; then 16 f16 scales.
//   q4_0          per 32 values 288 bytes: 4 groups of 64 bytes, byte 4l+j of group g holds value
//                 4g+j in its low and value 4(g+4)+j in its high nibble, 0..15; 16 f16 scales.
//   q4_1          the same and 16 f16 minima behind the scales: 320 bytes.
//   q6_k          per 256 values 3360 bytes: 16 f16 scales d, then 8 times 416 bytes for 32 values:
//                 4 groups of low nibbles as q4_0; 2 groups of upper bits, byte 4l+j of group h
//                 holds those of value 16h+4i+j at bit 2i; 2 times 16 int8 sub-scales, one per 16
//                 values. Values are 0..63, before the -32.
// Every format takes as many bytes as in its file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kedge/core/block.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

constexpr std::int64_t panel_rows = 16;

// Bytes of `block` values of all 16 rows, the unit that a panel repeats along k.
constexpr std::size_t panel_block_bytes(Element element) noexcept {
  return static_cast<std::size_t>(panel_rows) * traits(element).bytes;
}
constexpr std::size_t panel_bytes(Element element, std::int64_t width) noexcept {
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

// Places inside the part of a panel that holds 32 values (q6_k: after its 16 scales d).
namespace panel {
constexpr std::size_t group_bytes = 64;
constexpr std::size_t q8_scales = 512, q4_scales = 256, q4_minima = 288;
constexpr std::size_t q6_high = 256, q6_scales = 384, q6_block = 416, q6_header = 32;
}  // namespace panel

// Decodes row `lane` of one panel: the same bits as decode_row of the unpacked row. By value, for
// lookups and tests; products never do this.
KEDGE_INLINE void decode_panel_row(Element element, const std::byte* panel, std::int64_t lane,
                                   std::int64_t width, float* out) noexcept {
  const std::size_t l = static_cast<std::size_t>(lane);
  const auto read16 = [](const std::byte* p) __attribute__((always_inline)) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return bits;
  };
  if (element == Element::f32) {
    for (std::int64_t k = 0; k < width; ++k)
      std::memcpy(out + k, panel + (static_cast<std::size_t>(k) * 16 + l) * 4, 4);
  } else if (!is_quantized(element)) {
    for (std::int64_t k = 0; k < width; ++k) {
      const std::uint16_t bits = read16(panel + (static_cast<std::size_t>(k) * 16 + l) * 2);
      out[k] = element == Element::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
  } else {
    const std::byte* p = panel;
    float d6 = 0;
    for (std::int64_t block = 0; block < width / 32; ++block) {
      if (element == Element::q6_k && block % 8 == 0) {
        d6 = f16_to_f32(read16(p + 2 * l));
        p += panel::q6_header;
      }
      const std::size_t scales = element == Element::q8_0 ? panel::q8_scales : panel::q4_scales;
      const float d = element == Element::q6_k ? d6 : f16_to_f32(read16(p + scales + 2 * l));
      for (unsigned k = 0; k < 32; ++k) {
        const unsigned group = k / 4;
        float& value = out[block * 32 + k];
        if (element == Element::q8_0) {
          const auto q = static_cast<std::int8_t>(p[group * 64 + 4 * l + k % 4]);
          value = d * static_cast<float>(q);
          continue;
        }
        const auto pair = static_cast<unsigned>(p[group % 4 * 64 + 4 * l + k % 4]);
        const int low = static_cast<int>(pair >> (group / 4 * 4) & 15u);
        if (element == Element::q4_0) {
          value = d * static_cast<float>(low - 8);
        } else if (element == Element::q4_1) {
          const float product = d * static_cast<float>(low);
          value = product + f16_to_f32(read16(p + panel::q4_minima + 2 * l));
        } else {
          const auto bits =
              static_cast<unsigned>(p[panel::q6_high + group / 4 * 64 + 4 * l + k % 4]);
          const int high = static_cast<int>(bits >> (group % 4 * 2) & 3u);
          const auto sub = static_cast<std::int8_t>(p[panel::q6_scales + k / 16 * 16 + l]);
          const float scale = d * static_cast<float>(sub);
          value = scale * static_cast<float>((low | high << 4) - 32);
        }
      }
      p += element == Element::q6_k ? panel::q6_block : panel_block_bytes(element);
    }
  }
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

namespace panel {

// Packs 32 values (floats: one value) of one row; `source` is the row's block in its file format,
// `index` says which 32 values of it (q6_k has eight). `target` is where the panel holds them.
inline void pack_block(Element element, const std::byte* source, unsigned index, std::size_t lane,
                       std::byte* target) noexcept {
  const auto words = [&](const std::byte* bytes, unsigned groups) {
    for (unsigned g = 0; g < groups; ++g)
      std::memcpy(target + g * group_bytes + 4 * lane, bytes + 4 * g, 4);
  };
  switch (element) {
    case Element::q8_0:
      words(source + offsetof(BlockQ8_0, q), 8);
      std::memcpy(target + q8_scales + 2 * lane, source, 2);
      break;
    case Element::q4_0:  // a file's byte i holds values i and i+16 too: words move as they are
      words(source + offsetof(BlockQ4_0, q), 4);
      std::memcpy(target + q4_scales + 2 * lane, source, 2);
      break;
    case Element::q4_1:
      words(source + offsetof(BlockQ4_1, q), 4);
      std::memcpy(target + q4_scales + 2 * lane, source, 2);
      std::memcpy(target + q4_minima + 2 * lane, source + offsetof(BlockQ4_1, m), 2);
      break;
    case Element::q6_k: {
      BlockQ6_K b;
      std::memcpy(&b, source, sizeof b);
      for (unsigned k = 0; k < 32; ++k) {
        const auto q = static_cast<unsigned>(q6_k_value(b, index * 32 + k));
        const unsigned group = k / 4;
        const std::size_t byte = 4 * lane + k % 4;
        target[group % 4 * 64 + byte] |= static_cast<std::byte>((q & 15u) << (group / 4 * 4));
        target[q6_high + group / 4 * 64 + byte] |=
            static_cast<std::byte>((q >> 4) << (group % 4 * 2));
      }
      for (unsigned j = 0; j < 2; ++j)
        target[q6_scales + j * 16 + lane] = static_cast<std::byte>(b.scale[index * 2 + j]);
      break;
    }
    default: {
      const std::size_t bytes = traits(element).bytes;
      std::memcpy(target + lane * bytes, source, bytes);
      break;
    }
  }
}

}  // namespace panel

// Packs panels [first_panel, first_panel + panels) of a row_major matrix. `packed` is the start of
// the whole packed matrix (packed_bytes), so that ranges of panels can be packed side by side.
inline void pack(const Tensor& weight, std::byte* packed, std::int64_t first_panel,
                 std::int64_t panels) noexcept {
  const ElementTraits format = traits(weight.element);
  const std::size_t stride = panel_bytes(weight.element, weight.width());
  const std::int64_t blocks = weight.width() / format.block;
  const bool wide = weight.element == Element::q6_k;
  for (std::int64_t p = first_panel; p < first_panel + panels; ++p) {
    std::byte* const panel = packed + static_cast<std::size_t>(p) * stride;
    std::memset(panel, 0, stride);
    for (std::int64_t r = p * panel_rows; r < (p + 1) * panel_rows && r < weight.rows(); ++r) {
      const auto lane = static_cast<std::size_t>(r - p * panel_rows);
      const std::byte* source = weight.row<std::byte>(r);
      std::byte* target = panel;
      for (std::int64_t b = 0; b < blocks; ++b, source += format.bytes) {
        if (wide) {
          std::memcpy(target + 2 * lane, source + offsetof(BlockQ6_K, d), 2);
          target += panel::q6_header;
        }
        for (unsigned i = 0; i < (wide ? 8u : 1u); ++i) {
          panel::pack_block(weight.element, source, i, lane, target);
          target += wide ? panel::q6_block : panel_block_bytes(weight.element);
        }
      }
    }
  }
}

}  // namespace kedge::inline KEDGE_ABI::cpu
