// f16: IEEE half. core/format/list.hpp says what a format has.
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

namespace format {
struct F16 {
  static constexpr const char *name = "f16", *gguf_name = "F16";
  static constexpr std::uint32_t gguf_type = 1, values = 1;

  using Block = std::uint16_t;
  using Packed = Block;

  KEDGE_INLINE static void decode(Block block, float* x) noexcept { *x = f16_to_f32(block); }
  KEDGE_INLINE static Packed pack(Block block) noexcept { return block; }
  KEDGE_INLINE static Block unpack(Packed packed) noexcept { return packed; }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<sizeof(Block)>(1);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
