// f32: IEEE single. core/format/list.hpp says what a format has.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

namespace format {
struct F32 {
  static constexpr const char *name = "f32", *gguf_name = "F32";
  static constexpr std::uint32_t gguf_type = 0, values = 1;

  using Block = float;
  using Packed = Block;

  KEDGE_INLINE static void decode(Block block, float* x) noexcept { *x = block; }
  KEDGE_INLINE static Packed pack(Block block) noexcept { return block; }
  KEDGE_INLINE static Block unpack(Packed packed) noexcept { return packed; }
  template <class Visitor>
  KEDGE_INLINE static void chunks(Visitor&& v) noexcept {
    v.template run<sizeof(Block)>(1);
  }
};
}  // namespace format

}  // namespace kedge::inline KEDGE_ABI
