// What the two ways to read a page share: narrow, as it is stored (attention_page-inl.hpp), and
// wide, made floats (attention_wide-inl.hpp).
#pragma once

#include "kedge/kernel/cpu/attention_fold-inl.hpp"
#include "kedge/kernel/cpu/attention_page.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using Query = AttentionQuery;

#define KEDGE_ATTENTION_UNROLL _Pragma("GCC unroll 4")

#if defined(KEDGE_ISA_IS_scalar)
// Scalar code gains nothing from several rows and would take most of a minute to build.
constexpr int block_rows = 1, wide_rows = 1;
#else
constexpr int block_rows = 4, wide_rows = 6;
#endif
// 32 registers hold 6 rows x 4 vectors of sums; 16 registers 6 rows x 1 (of two halves).
constexpr int block_vectors = max_columns == 16 ? 4 : 1;

// Dimensions or positions to a step: the loops' own instructions compete with multiply-adds for
// ports, so there are few of them.
constexpr int attention_unrolled = block_rows == 1 ? 1 : 4;

// What is fetched meanwhile: eight lines at a time from as many places, since memory answers
// several streams of a core sooner than one; evenly over the steps of all rows.
class PageAhead {
 public:
  KEDGE_INLINE PageAhead(const AttentionPage& p, std::int64_t steps)
      : next_(p.ahead), stream_(p.ahead_bytes / 8), left_(p.ahead_bytes / 512) {
    pace_ = static_cast<std::uint32_t>((left_ << 16) / steps) + 1;
  }
  KEDGE_INLINE void step() {
    due_ += pace_;
    while (due_ >= 1u << 16) {
      due_ -= 1u << 16;
      if (--left_ < 0) return stop();
      const std::byte* second = next_ + 4 * stream_;
      for (int i = 0; i < 4; ++i) prefetch(next_ + i * stream_);
      for (int i = 0; i < 4; ++i) prefetch(second + i * stream_);
      next_ += 64;
    }
  }
  KEDGE_INLINE void stop() { pace_ = due_ = 0; }

 private:
  const std::byte* next_;
  std::int64_t stream_, left_;
  std::uint32_t pace_, due_ = 0;  // 1 / 65536
};

// Steps of rows that read a whole page.
KEDGE_INLINE std::int64_t page_steps(const AttentionPage& page) {
  constexpr int vectors = block_vectors;
  return (4 / vectors * page.head_dim +
          (page.width + 16 * vectors - 1) / (16 * vectors) * positions) /
         attention_unrolled;
}

// Calls f.operator()<vectors>(v) for blocks of vectors that cover [0, n).
template <class F>
KEDGE_INLINE void for_blocks(int n, F f) {
  int v = 0;
  for (; v + block_vectors <= n; v += block_vectors) f.template operator()<block_vectors>(v);
  if constexpr (block_vectors == 4) {
    if (n - v == 3) f.template operator()<3>(v);
    else if (n - v == 2) f.template operator()<2>(v);
    else if (n - v == 1) f.template operator()<1>(v);
  }
}

// Turns 64 scores into weights in place; only the first `keys` are looked at.
struct ScoreSum {
  float m, l;
};
template <bool whole>
KEDGE_INLINE ScoreSum softmax(float* s, int keys, float scale) {
  const F32x16 lowest = set1(-__builtin_inff()), factor = set1(scale);
  F32x16 x[4];
  for (int v = 0; v < 4; ++v) {
    x[v] = lowest;
    if (whole) x[v] = mul(load(s + 16 * v), factor);
    else if (16 * v < keys)
      x[v] = select(first(keys - 16 * v), mul(load(s + 16 * v), factor), lowest);
  }
  const float largest = reduce_max(max(max(x[0], x[1]), max(x[2], x[3])));
  const F32x16 m = set1(largest);
  for (int v = 0; v < 4; ++v) {
    x[v] = exp<false>(sub(x[v], m));
    if (!whole) x[v] = select(first(keys - 16 * v), x[v], zero());
    store(s + 16 * v, x[v]);
  }
  return {largest, reduce_add(add(add(x[0], x[1]), add(x[2], x[3])))};
}

// Of some queries side by side. Called, not inlined: it is long, and every shape of block has one.
__attribute__((noinline)) void softmax_rows(const Query* query, int rows, float scale, float* s,
                                            ScoreSum* sum) {
  for (int r = 0; r < rows; ++r, s += positions)
    sum[r] = query[r].keys == positions ? softmax<true>(s, positions, scale)
                                        : softmax<false>(s, query[r].keys, scale);
}

}  // namespace
}  // namespace KEDGE_ISA
}  // namespace kedge::inline KEDGE_ABI::cpu
