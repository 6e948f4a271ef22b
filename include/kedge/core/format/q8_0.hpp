// q8_0: x = d q, 32 values.
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

struct BlockQ8_0 {
  std::uint16_t d;
  std::int8_t q[32];
};

namespace format {
struct Q8_0 {
  static constexpr const char *name = "q8_0", *gguf_name = "Q8_0";
  static constexpr std::uint32_t gguf_type = 8, values = 32;

  using Block = BlockQ8_0;
  struct Packed {
    std::int8_t q[32];
    std::uint16_t d;
  };

  KEDGE_INLINE static void decode(const Block& block, float* x) noexcept {
    const float d = f16_to_f32(block.d);
    for (unsigned i = 0; i < 32; ++i) x[i] = d * static_cast<float>(block.q[i]);
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
    v.template run<4>(8);
    v.template run<2>(1);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
