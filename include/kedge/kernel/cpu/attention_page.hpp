// The border inside attention: the walk decides which query reads which page, and a cache's unit
// reads it. So a mask costs a walk of its own and no second copy of the kernels, which take most of
// the time to build.
#pragma once

#include "kedge/kernel/cpu/cache_kind.hpp"
#include "kedge/kernel/cpu/kernel.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

// One query row of one head while it reads a page.
struct AttentionQuery {
  const float* q;
  float* state;                            // o [value_width], m [16], l [16]
  int keys;                                // positions of the page up to its own, 1..64
  std::uint64_t seen = ~std::uint64_t{0};  // those of them that a mask leaves, as bits
};

// What is the same for all queries of a page.
struct AttentionPage {
  const std::byte *keys, *values;                  // the tiles
  const std::byte *keys_ahead, *values_ahead;      // what to fetch meanwhile
  const std::uint16_t *key_scales, *value_scales;  // of blocks, else null
  int head_dim, width;
  float scale;
  bool first;  // of its split: the state is written, not folded
};

struct AttentionPageUnit {
  // At most attention_block queries at a time.
  void (*read)(const AttentionQuery* query, int count, const AttentionPage& page) noexcept;
  // A query that does not see all of it; its state was emptied before the split.
  void (*read_masked)(const AttentionQuery& query, const AttentionPage& page) noexcept;
};
constexpr int attention_block = 4;

KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_f32)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_f16)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_bf16)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_q8_0)

}  // namespace kedge::inline KEDGE_ABI::cpu
