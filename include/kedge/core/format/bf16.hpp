// bf16: the upper half of an F32. core/format/list.hpp says what a format has.
#pragma once

#include <cstdint>

#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

namespace format {
struct BF16 {
  static constexpr const char *name = "bf16", *gguf_name = "BF16";
  static constexpr std::uint32_t gguf_type = 30, values = 1;

  using Block = std::uint16_t;
  using Packed = Block;

  KEDGE_INLINE static void decode(Block block, float* x) noexcept { *x = bf16_to_f32(block); }
  KEDGE_INLINE static Packed pack(Block block) noexcept { return block; }
  KEDGE_INLINE static Block unpack(Packed packed) noexcept { return packed; }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<sizeof(Block)>(1);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
