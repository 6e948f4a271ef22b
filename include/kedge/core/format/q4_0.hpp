// q4_0: x = d (q - 8), 32 values. Value i is the low nibble of byte i, value i + 16 its high
// nibble.
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ4_0 {
  std::uint16_t d;
  std::uint8_t q[16];
};

namespace format {
struct Q4_0 {
  static constexpr const char *name = "q4_0", *gguf_name = "Q4_0";
  static constexpr std::uint32_t gguf_type = 2, values = 32;

  using Block = BlockQ4_0;
  struct Packed {
    std::uint8_t q[16];
    std::uint16_t d;
  };

  KEDGE_INLINE static void decode(const Block& block, float* x) noexcept {
    const float d = f16_to_f32(block.d);
    for (unsigned i = 0; i < 16; ++i) {
      x[i] = d * static_cast<float>((block.q[i] & 15) - 8);
      x[i + 16] = d * static_cast<float>((block.q[i] >> 4) - 8);
    }
  }
  KEDGE_INLINE static Packed pack(const Block& b) noexcept {
    Packed p;
    __builtin_memcpy(p.q, b.q, sizeof p.q);
    p.d = b.d;
    return p;
  }
  KEDGE_INLINE static Block unpack(const Packed& p) noexcept {
    Block b;
    b.d = p.d;
    __builtin_memcpy(b.q, p.q, sizeof b.q);
    return b;
  }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<4>(4);
    v.template run<2>(1);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
