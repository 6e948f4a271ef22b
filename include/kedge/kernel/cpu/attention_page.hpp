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
  const std::uint16_t *key_scales, *value_scales;  // of blocks, else null
  const std::byte* ahead;                          // the head block to fetch meanwhile
  std::int64_t ahead_bytes;                        // of it; 0: nothing to fetch
  int head_dim, width;
  float scale;
  bool first;  // of its split: the state is written, not folded
};

// 64 positions of `count` dimensions from `from` on as floats, in the order in which they are
// stored: keys [count][64], values [64][count].
using AttentionWiden = void (*)(const AttentionPage& page, bool values, int from, int count,
                                float* y) noexcept;

struct AttentionPageUnit {
  // Any number of queries.
  void (*read)(const AttentionQuery* query, int count, const AttentionPage& page) noexcept;
  // A query that does not see all of it; its state was emptied before the split.
  void (*read_masked)(const AttentionQuery& query, const AttentionPage& page) noexcept;
  AttentionWiden widen;
};
// Queries that see all of a page, at least attention_many of them; null where they gain nothing.
struct AttentionWideUnit {
  void (*read)(const AttentionQuery* query, int count, const AttentionPage& page,
               AttentionWiden widen) noexcept;
};
constexpr int attention_many = 8;
// So many queries are collected before they read a page.
constexpr int attention_queries = 32;

KEDGE_DECLARE_UNITS(AttentionWideUnit, attention_wide)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_f32)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_f16)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_bf16)
KEDGE_DECLARE_UNITS(AttentionPageUnit, attention_page_q8_0)

}  // namespace kedge::inline KEDGE_ABI::cpu
