// q4_1: x = d q + m, 32 values; nibbles as in q4_0.
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ4_1 {
  std::uint16_t d, m;
  std::uint8_t q[16];
};

namespace format {
struct Q4_1 {
  static constexpr const char *name = "q4_1", *gguf_name = "Q4_1";
  static constexpr std::uint32_t gguf_type = 3, values = 32;

  using Block = BlockQ4_1;
  struct Packed {
    std::uint8_t q[16];
    std::uint16_t d, m;
  };

  KEDGE_INLINE static void decode(const Block& block, float* x) noexcept {
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    for (unsigned i = 0; i < 16; ++i) {
      const float low = d * static_cast<float>(block.q[i] & 15);
      const float high = d * static_cast<float>(block.q[i] >> 4);
      x[i] = low + m;
      x[i + 16] = high + m;
    }
  }
  KEDGE_INLINE static Packed pack(const Block& b) noexcept {
    Packed p;
    __builtin_memcpy(p.q, b.q, sizeof p.q);
    p.d = b.d;
    p.m = b.m;
    return p;
  }
  KEDGE_INLINE static Block unpack(const Packed& p) noexcept {
    Block b;
    b.d = p.d;
    b.m = p.m;
    __builtin_memcpy(b.q, p.q, sizeof b.q);
    return b;
  }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<4>(4);
    v.template run<2>(2);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
