// attention micro-kernel, one page; op/attention.hpp has the definition. Plan: the rows of a tile
// times the query heads of a group all read the same page, some at a time:
//   1. scores of 4 query rows x 64 positions in registers (keys are transposed: no horizontal sum)
//   2. scale, maximum, exp and sum, masked lanes replaced by select
//   3. 4 query rows x 64 dimensions of the values in registers, over the positions all four see;
//      a row that sees more of the page goes on alone from what is stored
//   4. the page is folded into the row's state (o, m, l)
// From 8 query rows on a page is read otherwise (attention_wide-inl.hpp).
// While the first rows read a page, the next one is fetched.
#pragma once

#include "kedge/kernel/cpu/attention_rows-inl.hpp"
#include "kedge/kernel/cpu/cached-inl.hpp"
#include "kedge/state/kv_page.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

// As its kernels see it.
template <class Cached>
struct Page {
  using E = typename Cached::Stored;
  const E *keys, *values;
  const std::uint16_t *key_scales, *value_scales;
  int head_dim, width;
  float scale;
  bool first;

  KEDGE_INLINE explicit Page(const AttentionPage& p)
      : keys(reinterpret_cast<const E*>(p.keys)),
        values(reinterpret_cast<const E*>(p.values)),
        key_scales(p.key_scales),
        value_scales(p.value_scales),
        head_dim(p.head_dim),
        width(p.width),
        scale(p.scale),
        first(p.first) {}
};

// Queries side by side, at a distance that the compiler knows and that is no power of two.
constexpr int query_step = max_head_dim + 16;

// s[r][0..16 vectors) = q_r . keys, d ascending
template <int rows, int vectors, class Cached>
KEDGE_INLINE void score_block(const float* q, const Page<Cached>& page, int at, float* s,
                              PageAhead& ahead) {
  const auto* keys = page.keys + at;
  const int head_dim = page.head_dim;
  F32x16 sum[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) sum[r][v] = zero();
  F32x16 scale[vectors] = {};  // of blocks, else not used
  for (int begin = 0; begin < head_dim; begin += attention_unrolled) {
    ahead.step();
    if constexpr (Cached::block > 0)
      if (begin % Cached::block == 0)
        for (int v = 0; v < vectors; ++v)
          scale[v] = load_f16(page.key_scales + begin / Cached::block * positions + at + 16 * v);
    KEDGE_ATTENTION_UNROLL
    for (int d = begin; d < begin + attention_unrolled; ++d) {
      F32x16 k[vectors];
      for (int v = 0; v < vectors; ++v) {
        k[v] = Cached::load(keys + d * positions + 16 * v);
        if constexpr (Cached::block > 0) k[v] = mul(k[v], scale[v]);
      }
      for (int r = 0; r < rows; ++r) {
        const F32x16 x = set1(q[r * query_step + d]);
        for (int v = 0; v < vectors; ++v) sum[r][v] = fma(x, k[v], sum[r][v]);
      }
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(s + r * positions + 16 * v, sum[r][v]);
}

// o[r][0..16 vectors) (+)= p_r[j] * values[j], j ascending over [begin, end)
template <int rows, int vectors, class Cached>
KEDGE_INLINE void value_block(const Page<Cached>& page, const float* scales, const float* p,
                              int begin, int end, int at, float* o, PageAhead& ahead) {
  const auto* values = page.values + at;
  const int width = page.width;
  F32x16 sum[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sum[r][v] = begin == 0 ? zero() : load(o + r * max_head_dim + 16 * v);
  const auto weigh_one = [&](int j) __attribute__((always_inline)) {
    F32x16 x[vectors];
    for (int v = 0; v < vectors; ++v) {
      x[v] = Cached::load(values + j * width + 16 * v);
      if constexpr (Cached::block > 0)
        x[v] = mul(x[v], set1(scales[j * (width / Cached::block) + (at + 16 * v) / Cached::block]));
    }
    for (int r = 0; r < rows; ++r) {
      const F32x16 weight = set1(p[r * positions + j]);
      for (int v = 0; v < vectors; ++v) sum[r][v] = fma(weight, x[v], sum[r][v]);
    }
  };
  int j = begin;
  for (; j + attention_unrolled <= end; j += attention_unrolled) {
    ahead.step();
    KEDGE_ATTENTION_UNROLL
    for (int i = 0; i < attention_unrolled; ++i) weigh_one(j + i);
  }
  for (; j < end; ++j) weigh_one(j);
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(o + r * max_head_dim + 16 * v, sum[r][v]);
}

template <int rows, class Cached>
KEDGE_INLINE void weigh(const Page<Cached>& page, const float* scales, const float* p, int begin,
                        int end, float* o, PageAhead& ahead) {
  for_blocks(
      page.width / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
        value_block<rows, vectors>(page, scales, p, begin, end, 16 * v, o + 16 * v, ahead);
      });
}

// Of blocks: the scales of the first `keys` values, as floats.
template <class Cached>
struct ValueScales {
  KEDGE_INLINE ValueScales(const Page<Cached>& page, int keys) {
    for (int i = 0; i < keys * page.width / Cached::block; i += 16)
      store(scale + i, load_f16(page.value_scales + i));
  }
  alignas(64) float scale[positions * max_head_dim / Cached::block];
};
template <class Cached>
requires(Cached::block == 0) struct ValueScales<Cached> {
  KEDGE_INLINE ValueScales(const Page<Cached>&, int) {}
  static constexpr const float* scale = nullptr;
};

// A page under a mask, for one query that sees some of it. What is not seen is no term of any sum:
// its score becomes -infinity, and the values are read in runs of seen positions. The state was
// emptied before the split (see empty_state).
template <class Cached>
void read_masked_page(const Query& query, const AttentionPage& any) noexcept {
  const Page<Cached> page(any);
  alignas(64) float s[positions];
  alignas(64) float o[max_head_dim];
  PageAhead ahead(any, page_steps(any));
  for_blocks((query.keys + 15) / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
    score_block<1, vectors>(query.q, page, 16 * v, s + 16 * v, ahead);
  });
  ahead.stop();
  const auto seen = [&](int j) __attribute__((always_inline)) {
    return (query.seen >> j & 1u) != 0;
  };
  for (int j = 0; j < query.keys; ++j)
    if (!seen(j)) s[j] = -__builtin_inff();
  ScoreSum sum;
  softmax_rows(&query, 1, page.scale, s, &sum);
  const ValueScales<Cached> scales(page, query.keys);
  for (int d = 0; d < page.width; d += 16) store(o + d, zero());
  for (int j = 0; j < query.keys;) {
    int end = j;
    while (end < query.keys && seen(end)) ++end;
    if (end > j) weigh<1>(page, scales.scale, s, j, end, o, ahead);
    j = end + 1;
  }
  fold(query.state, page.width, {set1(sum.m), set1(sum.l)}, o);
}

template <int rows, class Cached>
void read_rows(const Query* query, const AttentionPage& any, PageAhead& all_ahead) {
  PageAhead ahead = all_ahead;
  const Page<Cached> page(any);
  alignas(64) float q[rows * query_step];
  alignas(64) float s[rows * positions];
  alignas(64) float o[rows * max_head_dim];
  int least = positions, most = 0;
  for (int r = 0; r < rows; ++r) {
    least = query[r].keys < least ? query[r].keys : least;
    most = query[r].keys > most ? query[r].keys : most;
    __builtin_memcpy(q + r * query_step, query[r].q,
                     sizeof(float) * static_cast<std::size_t>(page.head_dim));
  }
  for_blocks((most + 15) / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
    score_block<rows, vectors>(q, page, 16 * v, s + 16 * v, ahead);
  });
  ScoreSum sum[rows];
  softmax_rows(query, rows, page.scale, s, sum);
  const ValueScales<Cached> scales(page, most);
  weigh<rows>(page, scales.scale, s, 0, least, o, ahead);
  all_ahead = ahead;
  ahead.stop();
  for (int r = 0; r < rows; ++r)
    if (query[r].keys > least)
      weigh<1>(page, scales.scale, s + r * positions, least, query[r].keys, o + r * max_head_dim,
               ahead);
  for (int r = 0; r < rows; ++r) {
    float* state = query[r].state;
    const Sums sums = {set1(sum[r].m), set1(sum[r].l)};
    if (!page.first) {
      fold(state, page.width, sums, o + r * max_head_dim);
      continue;
    }
    for (int d = 0; d < page.width; d += 16) store(state + d, load(o + r * max_head_dim + d));
    store(state + page.width, sums.m);
    store(state + page.width + 16, sums.l);
  }
}

template <class Cached>
void read_page(const Query* query, int count, const AttentionPage& page) noexcept {
  const int blocks = (count + block_rows - 1) / block_rows;
  PageAhead ahead(page, blocks * page_steps(page));
  for (; count >= block_rows; count -= block_rows, query += block_rows)
    read_rows<block_rows, Cached>(query, page, ahead);
  if constexpr (block_rows > 1) {
    if (count == 3) read_rows<3, Cached>(query, page, ahead);
    else if (count == 2) read_rows<2, Cached>(query, page, ahead);
    else if (count == 1) read_rows<1, Cached>(query, page, ahead);
  }
}

// Up to 64 values of a line as floats.
template <class Cached, class Scale>
KEDGE_INLINE void widen_line(const typename Cached::Stored* x, int vectors, Scale scale, float* y) {
  KEDGE_ATTENTION_UNROLL
  for (int v = 0; v < 4; ++v) {
    if (v == vectors) break;
    F32x16 wide = Cached::load(x + 16 * v);
    if constexpr (Cached::block > 0) wide = mul(wide, scale(v));
    store(y + 16 * v, wide);
  }
}

template <class Cached>
void widen_page(const AttentionPage& any, bool values, int from, int count, float* y) noexcept {
  const Page<Cached> page(any);
  if (values) {
    const ValueScales<Cached> scales(page, positions);
    constexpr int block =
        Cached::block > 0 ? Cached::block : 1;  // floats have no scales to look at
    for (int j = 0; j < positions; ++j)
      widen_line<Cached>(
          page.values + j * page.width + from, count / 16,
          [&](int v) __attribute__((always_inline)) {
            return set1(scales.scale[(j * page.width + from + 16 * v) / block]);
          },
          y + j * count);
    return;
  }
  F32x16 scale[4] = {};
  for (int d = from; d < from + count; ++d) {
    if constexpr (Cached::block > 0)
      if (d % Cached::block == 0)
        for (int v = 0; v < 4; ++v)
          scale[v] = load_f16(page.key_scales + d / Cached::block * positions + 16 * v);
    widen_line<Cached>(
        page.keys + d * positions,
        4, [&](int v) __attribute__((always_inline)) { return scale[v]; },
        y + (d - from) * positions);
  }
}

}  // namespace
}  // namespace KEDGE_ISA

#define KEDGE_ATTENTION_PAGE_UNIT(name, Cached)                                                \
  extern const AttentionPageUnit KEDGE_UNIT(attention_page_##name);                            \
  const AttentionPageUnit KEDGE_UNIT(attention_page_##name) = {                                \
      KEDGE_ISA::read_page<KEDGE_ISA::Cached>, KEDGE_ISA::read_masked_page<KEDGE_ISA::Cached>, \
      KEDGE_ISA::widen_page<KEDGE_ISA::Cached>};

}  // namespace kedge::inline KEDGE_ABI::cpu
