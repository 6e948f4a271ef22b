// q6_k: 256 values, x = d scale[i/16] (q - 32). Low four bits in `low`, upper two in `high`; each
// half of 128 values takes 64 bytes of `low` and 32 of `high`.
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ6_K {
  std::uint8_t low[128];
  std::uint8_t high[64];
  std::int8_t scale[16];
  std::uint16_t d;
};

KEDGE_INLINE int q6_k_value(const BlockQ6_K& b, unsigned i) noexcept {  // 0..63, before the -32
  const unsigned half = i / 128, j = i % 128;
  const unsigned low = b.low[half * 64 + j % 64] >> (j / 64 * 4) & 15u;
  const unsigned high = b.high[half * 32 + j % 32] >> (j / 32 * 2) & 3u;
  return static_cast<int>(low | high << 4);
}

namespace format {
struct Q6_K {
  static constexpr const char *name = "q6_k", *gguf_name = "Q6_K";
  static constexpr std::uint32_t gguf_type = 14, values = 256;

  using Block = BlockQ6_K;
  struct Packed {
    std::uint16_t d;
    struct Part {            // 32 values
      std::uint8_t low[16];  // nibbles as in q4_0
      std::uint8_t high[8];  // byte 4 h + j: bits of value 16 h + 4 i + j at bit 2 i
      std::int8_t scale[2];  // one per 16 values
    } part[8];
  };

  KEDGE_INLINE static void decode(const Block& b, float* x) noexcept {
    for (unsigned i = 0; i < 256; ++i) {
      const float scale = f16_to_f32(b.d) * static_cast<float>(b.scale[i / 16]);
      x[i] = scale * static_cast<float>(q6_k_value(b, i) - 32);
    }
  }
  KEDGE_INLINE static Packed pack(const Block& b) noexcept {
    Packed p;
    __builtin_memset(&p, 0, sizeof p);
    p.d = b.d;
    for (unsigned i = 0; i < 256; ++i) {
      const auto q = static_cast<unsigned>(q6_k_value(b, i));
      const unsigned k = i % 32;
      auto& part = p.part[i / 32];
      std::uint8_t &low = part.low[k % 16], &high = part.high[k / 16 * 4 + k % 4];
      low = static_cast<std::uint8_t>(low | (q & 15) << (k / 16 * 4));
      high = static_cast<std::uint8_t>(high | (q >> 4) << (k % 16 / 4 * 2));
    }
    for (unsigned j = 0; j < 16; ++j) p.part[j / 2].scale[j % 2] = b.scale[j];
    return p;
  }
  KEDGE_INLINE static Block unpack(const Packed& p) noexcept {
    Block b;
    __builtin_memset(&b, 0, sizeof b);
    b.d = p.d;
    for (unsigned i = 0; i < 256; ++i) {
      const unsigned k = i % 32, half = i / 128, j = i % 128;
      const auto& part = p.part[i / 32];
      const unsigned bits = part.low[k % 16] >> (k / 16 * 4) & 15u;
      const unsigned upper = part.high[k / 16 * 4 + k % 4] >> (k % 16 / 4 * 2) & 3u;
      std::uint8_t &low = b.low[half * 64 + j % 64], &high = b.high[half * 32 + j % 32];
      low = static_cast<std::uint8_t>(low | bits << (j / 64 * 4));
      high = static_cast<std::uint8_t>(high | upper << (j / 32 * 2));
    }
    for (unsigned j = 0; j < 16; ++j) b.scale[j] = p.part[j / 2].scale[j % 2];
    return b;
  }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<2>(1);
    for (int i = 0; i < 8; ++i) {
      v.template run<4>(6);
      v.template run<1>(2);
    }
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
