// q5_1: x = d q + m, 32 values of five bits as in q5_0.
#pragma once

#include <cstdint>

#include "kedge/core/format/fifth_bits.hpp"
#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ5_1 {
  std::uint16_t d, m;
  std::uint8_t high[4];
  std::uint8_t q[16];
};

namespace format {
struct Q5_1 {
  static constexpr const char *name = "q5_1", *gguf_name = "Q5_1";
  static constexpr std::uint32_t gguf_type = 7, values = 32;

  using Block = BlockQ5_1;
  struct Packed {
    std::uint8_t q[16], high[4];  // bits as in fifth_bits.hpp
    std::uint16_t d, m;
  };

  KEDGE_INLINE static void decode(const Block& block, float* x) noexcept {
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    const std::uint32_t high = load_u32(block.high);
    for (unsigned i = 0; i < 32; ++i) {
      const float product = d * static_cast<float>(five_bits(block.q, high, i));
      x[i] = product + m;
    }
  }
  KEDGE_INLINE static Packed pack(const Block& b) noexcept {
    Packed p;
    __builtin_memcpy(p.q, b.q, sizeof p.q);
    store_u32(p.high, spread_fifth_bits(load_u32(b.high)));
    p.d = b.d;
    p.m = b.m;
    return p;
  }
  KEDGE_INLINE static Block unpack(const Packed& p) noexcept {
    Block b;
    b.d = p.d;
    b.m = p.m;
    store_u32(b.high, join_fifth_bits(load_u32(p.high)));
    __builtin_memcpy(b.q, p.q, sizeof b.q);
    return b;
  }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<4>(5);
    v.template run<2>(2);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
