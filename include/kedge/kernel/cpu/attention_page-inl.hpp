// attention micro-kernel, one page; op/attention.hpp has the definition. Plan: the rows of a tile
// times the query heads of a group all read the same page, four of them at a time:
//   1. scores of 4 query rows x 64 positions in registers (keys are transposed: no horizontal sum)
//   2. scale, maximum, exp and sum, masked lanes replaced by select
//   3. 4 query rows x 64 dimensions of the values in registers, over the positions all four see;
//      a row that sees more of the page goes on alone from what is stored
//   4. the page is folded into the row's state (o, m, l)
// While the first four rows read a page, the next page is fetched.
#pragma once

#include "kedge/kernel/cpu/attention_fold-inl.hpp"
#include "kedge/kernel/cpu/attention_page.hpp"
#include "kedge/kernel/cpu/cached-inl.hpp"
#include "kedge/state/kv_page.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using Query = AttentionQuery;

// As its kernels see it.
template <class Cached>
struct Page {
  using E = typename Cached::Stored;
  const E *keys, *values, *keys_ahead, *values_ahead;
  const std::uint16_t *key_scales, *value_scales;
  int head_dim, width;
  float scale;
  bool first;

  KEDGE_INLINE explicit Page(const AttentionPage& p)
      : keys(reinterpret_cast<const E*>(p.keys)),
        values(reinterpret_cast<const E*>(p.values)),
        keys_ahead(reinterpret_cast<const E*>(p.keys_ahead)),
        values_ahead(reinterpret_cast<const E*>(p.values_ahead)),
        key_scales(p.key_scales),
        value_scales(p.value_scales),
        head_dim(p.head_dim),
        width(p.width),
        scale(p.scale),
        first(p.first) {}
};

// Scalar code gains nothing from several rows and would take most of a minute to build.
#if defined(KEDGE_ISA_IS_scalar)
constexpr int block_rows = 1;
#else
constexpr int block_rows = attention_block;
#endif
// 32 registers hold 4 rows x 4 vectors of sums; 16 registers 4 rows x 1 (of two halves).
constexpr int block_vectors = max_columns == 16 ? 4 : 1;

template <int vectors, class E>
KEDGE_INLINE void prefetch_vectors(const E* p) {
  constexpr int step = 64 / static_cast<int>(sizeof(E));
  for (int i = 0; i < 16 * vectors; i += step) prefetch(p + i);
}

// s[r][0..16 vectors) = q_r . keys, d ascending
template <int rows, int vectors, class Cached>
KEDGE_INLINE void score_block(const Query* query, const Page<Cached>& page, int at, float* s) {
  const auto *keys = page.keys + at, *ahead = page.keys_ahead + at;
  const int head_dim = page.head_dim;
  const float* q[rows];
  F32x16 sum[rows][vectors];
  for (int r = 0; r < rows; ++r) {
    q[r] = query[r].q;
    for (int v = 0; v < vectors; ++v) sum[r][v] = zero();
  }
  F32x16 scale[vectors] = {};  // of blocks, else not used
  for (int d = 0; d < head_dim; ++d) {
    F32x16 k[vectors];
    for (int v = 0; v < vectors; ++v) {
      k[v] = Cached::load(keys + d * positions + 16 * v);
      if constexpr (Cached::block > 0) {
        if (d % Cached::block == 0)
          scale[v] = load_f16(page.key_scales + d / Cached::block * positions + at + 16 * v);
        k[v] = mul(k[v], scale[v]);
      }
    }
    prefetch_vectors<vectors>(ahead + d * positions);
    for (int r = 0; r < rows; ++r) {
      const F32x16 x = set1(q[r][d]);
      for (int v = 0; v < vectors; ++v) sum[r][v] = fma(x, k[v], sum[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(s + r * positions + 16 * v, sum[r][v]);
}

// o[r][0..16 vectors) (+)= p_r[j] * values[j], j ascending over [begin, end)
template <int rows, int vectors, class Cached>
KEDGE_INLINE void value_block(const Page<Cached>& page, const float* p, int begin, int end, int at,
                              float* o) {
  const auto *values = page.values + at, *ahead = page.values_ahead + at;
  const int width = page.width;
  F32x16 sum[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sum[r][v] = begin == 0 ? zero() : load(o + r * max_head_dim + 16 * v);
  for (int j = begin; j < end; ++j) {
    F32x16 x[vectors];
    for (int v = 0; v < vectors; ++v) {
      x[v] = Cached::load(values + j * width + 16 * v);
      if constexpr (Cached::block > 0) {
        const int index = (j * width + at + 16 * v) / Cached::block;
        x[v] = mul(x[v], broadcast_f16(page.value_scales + index));
      }
    }
    prefetch_vectors<vectors>(ahead + j * width);
    for (int r = 0; r < rows; ++r) {
      const F32x16 weight = set1(p[r * positions + j]);
      for (int v = 0; v < vectors; ++v) sum[r][v] = fma(weight, x[v], sum[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(o + r * max_head_dim + 16 * v, sum[r][v]);
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

template <int rows, class Cached>
KEDGE_INLINE void weigh(const Page<Cached>& page, const float* p, int begin, int end, float* o) {
  for_blocks(
      page.width / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
        value_block<rows, vectors>(page, p, begin, end, 16 * v, o + 16 * v);
      });
}

// Called, not inlined: once per page and row, and long. Turns 64 scores into weights in place; only
// the first `keys` are looked at.
__attribute__((noinline)) Sums softmax(float* s, int keys, float scale) {
  const F32x16 lowest = set1(-__builtin_inff()), factor = set1(scale);
  F32x16 x[4];
  for (int v = 0; v < 4; ++v) {
    x[v] = lowest;
    if (16 * v < keys) x[v] = select(first(keys - 16 * v), mul(load(s + 16 * v), factor), lowest);
  }
  const F32x16 m = set1(reduce_max(max(max(x[0], x[1]), max(x[2], x[3]))));
  for (int v = 0; v < 4; ++v) {
    x[v] = select(first(keys - 16 * v), exp(sub(x[v], m)), zero());
    store(s + 16 * v, x[v]);
  }
  return {m, set1(reduce_add(add(add(x[0], x[1]), add(x[2], x[3]))))};
}

// A page under a mask, for one query that sees some of it. What is not seen is no term of any sum:
// its score becomes -infinity, and the values are read in runs of seen positions. The state was
// emptied before the split (see empty_state).
template <class Cached>
void read_masked_page(const Query& query, const AttentionPage& any) noexcept {
  const Page<Cached> page(any);
  alignas(64) float s[positions];
  alignas(64) float o[max_head_dim];
  for_blocks((query.keys + 15) / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
    score_block<1, vectors>(&query, page, 16 * v, s + 16 * v);
  });
  const auto seen = [&](int j) __attribute__((always_inline)) {
    return (query.seen >> j & 1u) != 0;
  };
  for (int j = 0; j < query.keys; ++j)
    if (!seen(j)) s[j] = -__builtin_inff();
  const Sums sums = softmax(s, query.keys, page.scale);
  for (int d = 0; d < page.width; d += 16) store(o + d, zero());
  for (int j = 0; j < query.keys;) {
    int end = j;
    while (end < query.keys && seen(end)) ++end;
    if (end > j) weigh<1>(page, s, j, end, o);
    j = end + 1;
  }
  fold(query.state, page.width, sums, o);
}

template <int rows, class Cached>
void read_page(const Query* query, const Page<Cached>& page) {
  alignas(64) float s[rows * positions];
  alignas(64) float o[rows * max_head_dim];
  int least = positions, most = 0;
  for (int r = 0; r < rows; ++r) {
    least = query[r].keys < least ? query[r].keys : least;
    most = query[r].keys > most ? query[r].keys : most;
  }
  for_blocks((most + 15) / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
    score_block<rows, vectors>(query, page, 16 * v, s + 16 * v);
  });
  Sums sums[rows];
  for (int r = 0; r < rows; ++r) sums[r] = softmax(s + r * positions, query[r].keys, page.scale);
  weigh<rows>(page, s, 0, least, o);
  for (int r = 0; r < rows; ++r) {
    if (query[r].keys > least)
      weigh<1>(page, s + r * positions, least, query[r].keys, o + r * max_head_dim);
    float* state = query[r].state;
    if (!page.first) {
      fold(state, page.width, sums[r], o + r * max_head_dim);
      continue;
    }
    for (int d = 0; d < page.width; d += 16) store(state + d, load(o + r * max_head_dim + d));
    store(state + page.width, sums[r].m);
    store(state + page.width + 16, sums[r].l);
  }
}

template <class Cached>
void read_page(const Query* query, int count, const AttentionPage& any) noexcept {
  const Page<Cached> page(any);
  if constexpr (block_rows == 1) {
    for (int i = 0; i < count; ++i) read_page<1>(query + i, page);
  } else {
    if (count == 4) read_page<4>(query, page);
    else if (count == 3) read_page<3>(query, page);
    else if (count == 2) read_page<2>(query, page);
    else read_page<1>(query, page);
  }
}

}  // namespace
}  // namespace KEDGE_ISA

#define KEDGE_ATTENTION_PAGE_UNIT(name, Cached)                     \
  extern const AttentionPageUnit KEDGE_UNIT(attention_page_##name); \
  const AttentionPageUnit KEDGE_UNIT(attention_page_##name) = {     \
      KEDGE_ISA::read_page<KEDGE_ISA::Cached>, KEDGE_ISA::read_masked_page<KEDGE_ISA::Cached>};

}  // namespace kedge::inline KEDGE_ABI::cpu
