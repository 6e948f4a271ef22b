// q5_k: 256 values as q4_k, with five bits: bit j of high[i] is bit 4 of value i of sub-block j.
#pragma once

#include <cstdint>

#include "kedge/core/format/fifth_bits.hpp"
#include "kedge/core/format/k_scales.hpp"
#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ5_K {
  std::uint16_t d, dmin;
  std::uint8_t scales[12];
  std::uint8_t high[32];
  std::uint8_t q[128];
};

namespace format {
struct Q5_K {
  static constexpr const char *name = "q5_k", *gguf_name = "Q5_K";
  static constexpr std::uint32_t gguf_type = 13, values = 256;

  using Block = BlockQ5_K;
  struct Packed {
    std::uint16_t d, dmin;
    std::uint8_t scales[12];
    struct Part {
      std::uint8_t q[16], high[4];  // bits as in fifth_bits.hpp
    } part[8];
  };

  KEDGE_INLINE static unsigned value(const Block& b, unsigned i) noexcept {
    const unsigned low = b.q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15u;
    return low | (b.high[i % 32] >> (i / 32) & 1u) << 4;
  }
  KEDGE_INLINE static void decode(const Block& b, float* x) noexcept {
    for (unsigned j = 0; j < 8; ++j) {
      const float d = f16_to_f32(b.d) * static_cast<float>(k_scale(b.scales, j));
      const float m = f16_to_f32(b.dmin) * static_cast<float>(k_minimum(b.scales, j));
      for (unsigned i = 32 * j; i < 32 * j + 32; ++i) {
        const float product = d * static_cast<float>(value(b, i));
        x[i] = product - m;
      }
    }
  }
  KEDGE_INLINE static Packed pack(const Block& b) noexcept {
    Packed p;
    __builtin_memcpy(&p, &b, 16);  // d, dmin and scales
    for (unsigned j = 0; j < 8; ++j) {
      std::uint32_t high = 0;
      for (unsigned i = 0; i < 16; ++i) {
        const unsigned a = value(b, 32 * j + i), c = value(b, 32 * j + i + 16);
        p.part[j].q[i] = static_cast<std::uint8_t>((a & 15) | (c & 15) << 4);
        high |= a >> 4 << i | c >> 4 << (i + 16);
      }
      store_u32(p.part[j].high, spread_fifth_bits(high));
    }
    return p;
  }
  KEDGE_INLINE static Block unpack(const Packed& p) noexcept {
    Block b;
    __builtin_memset(&b, 0, sizeof b);
    __builtin_memcpy(&b, &p, 16);
    for (unsigned j = 0; j < 8; ++j) {
      const std::uint32_t high = join_fifth_bits(load_u32(p.part[j].high));
      for (unsigned i = 0; i < 32; ++i) {
        const auto v = static_cast<unsigned>(five_bits(p.part[j].q, high, i));
        std::uint8_t& q = b.q[j / 2 * 32 + i];
        q = static_cast<std::uint8_t>(q | (v & 15) << (j % 2 * 4));
        b.high[i] = static_cast<std::uint8_t>(b.high[i] | v >> 4 << j);
      }
    }
    return b;
  }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<2>(2);
    v.template run<4>(3 + 8 * 5);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
