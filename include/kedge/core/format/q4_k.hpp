// q4_k: 256 values, x = (d scale_j) q - (dmin minimum_j) in eight sub-blocks j of 32. Bytes 32 c ..
// 32 c + 31 of `q` hold sub-block 2 c in their low and 2 c + 1 in their high nibbles. Both products
// of scales are exact in F32 (11 and 6 bits).
#pragma once

#include <cstdint>

#include "kedge/core/format/k_scales.hpp"
#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ4_K {
  std::uint16_t d, dmin;
  std::uint8_t scales[12];
  std::uint8_t q[128];
};

namespace format {
struct Q4_K {
  static constexpr const char *name = "q4_k", *gguf_name = "Q4_K";
  static constexpr std::uint32_t gguf_type = 12, values = 256;

  using Block = BlockQ4_K;
  struct Packed {
    std::uint16_t d, dmin;
    std::uint8_t scales[12];
    std::uint8_t q[8][16];  // a sub-block each, nibbles as in q4_0
  };

  KEDGE_INLINE static unsigned nibble(const Block& b, unsigned i) noexcept {
    return b.q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15u;
  }
  KEDGE_INLINE static void decode(const Block& b, float* x) noexcept {
    for (unsigned j = 0; j < 8; ++j) {
      const float d = f16_to_f32(b.d) * static_cast<float>(k_scale(b.scales, j));
      const float m = f16_to_f32(b.dmin) * static_cast<float>(k_minimum(b.scales, j));
      for (unsigned i = 32 * j; i < 32 * j + 32; ++i) {
        const float product = d * static_cast<float>(nibble(b, i));
        x[i] = product - m;
      }
    }
  }
  KEDGE_INLINE static Packed pack(const Block& b) noexcept {
    Packed p;
    __builtin_memcpy(&p, &b, 16);  // d, dmin and scales
    for (unsigned j = 0; j < 8; ++j)
      for (unsigned i = 0; i < 16; ++i)
        p.q[j][i] =
            static_cast<std::uint8_t>(nibble(b, 32 * j + i) | nibble(b, 32 * j + i + 16) << 4);
    return p;
  }
  KEDGE_INLINE static Block unpack(const Packed& p) noexcept {
    Block b;
    __builtin_memcpy(&b, &p, 16);
    for (unsigned i = 0; i < 128; ++i) {
      const unsigned j = i / 32 * 2, shift = i % 32 / 16 * 4;
      b.q[i] = static_cast<std::uint8_t>((p.q[j][i % 16] >> shift & 15) |
                                         (p.q[j + 1][i % 16] >> shift & 15) << 4);
    }
    return b;
  }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<2>(2);
    v.template run<4>(3 + 8 * 4);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
