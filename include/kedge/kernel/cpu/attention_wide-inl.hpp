// attention micro-kernel, one page read whole by many query rows; op/attention.hpp has the
// definition and attention_page-inl.hpp the way for few. Plan: a conversion costs as much as a
// multiply-add and would be repeated for every few rows, so the page is made floats once for all of
// them, 64 dimensions at a time, which leaves the first-level cache room for the rest:
//   1. scores of 6 query rows x 64 positions in registers, put down between dimensions 63 and 64
//   2. scale, maximum, exp and sum; what the states are folded with, of 16 rows side by side
//   3. 6 query rows x 64 dimensions of the values in registers, folded into the states from there
#pragma once

#include "kedge/kernel/cpu/attention_rows-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

constexpr int wide_dims = 64;
constexpr int wide_step = wide_dims + 16;  // no power of two

// s[r][0..64) (+)= q_r . keys, of dims dimensions, d ascending
template <int rows, int vectors>
KEDGE_INLINE void wide_scores(const float* q, const float* keys, int dims, bool begins, float* s,
                              PageAhead& ahead) {
  F32x16 sum[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sum[r][v] = begins ? zero() : load(s + r * positions + 16 * v);
  for (int begin = 0; begin < dims; begin += attention_unrolled) {
    ahead.step();
    KEDGE_ATTENTION_UNROLL
    for (int d = begin; d < begin + attention_unrolled; ++d) {
      F32x16 k[vectors];
      for (int v = 0; v < vectors; ++v) k[v] = load(keys + d * positions + 16 * v);
      for (int r = 0; r < rows; ++r) {
        const F32x16 x = set1(q[r * wide_step + d]);
        for (int v = 0; v < vectors; ++v) sum[r][v] = fma(x, k[v], sum[r][v]);
      }
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(s + r * positions + 16 * v, sum[r][v]);
}

struct WideWeights {
  const Query* query;
  const float *before, *now;  // factors of the states and of this page
  bool first;
};

// Folds p_r[j] * values[j], j ascending over the page, into dimensions [at, at + 16 vectors).
template <int rows, int vectors>
KEDGE_INLINE void wide_values(const WideWeights& w, const float* p, const float* values, int width,
                              int at, PageAhead& ahead) {
  F32x16 sum[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) sum[r][v] = zero();
  for (int begin = 0; begin < positions; begin += attention_unrolled) {
    ahead.step();
    KEDGE_ATTENTION_UNROLL
    for (int j = begin; j < begin + attention_unrolled; ++j) {
      F32x16 x[vectors];
      for (int v = 0; v < vectors; ++v) x[v] = load(values + j * width + 16 * v);
      for (int r = 0; r < rows; ++r) {
        const F32x16 weight = set1(p[r * positions + j]);
        for (int v = 0; v < vectors; ++v) sum[r][v] = fma(weight, x[v], sum[r][v]);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    float* state = w.query[r].state + at;
    if (w.first) {
      for (int v = 0; v < vectors; ++v) store(state + 16 * v, sum[r][v]);
      continue;
    }
    const F32x16 before = set1(w.before[r]), now = set1(w.now[r]);
    for (int v = 0; v < vectors; ++v, state += 16)
      store(state, fma(sum[r][v], now, mul(load(state), before)));
  }
}

template <int rows>
void wide_score_rows(const Query* query, int from, int dims, const float* keys, float* s,
                     PageAhead& ahead) {
  alignas(64) float q[rows * wide_step];
  for (int r = 0; r < rows; ++r)
    __builtin_memcpy(q + r * wide_step, query[r].q + from,
                     sizeof(float) * static_cast<std::size_t>(dims));
  for_blocks(
      4, [&]<int vectors>(int v) __attribute__((always_inline)) {
        wide_scores<rows, vectors>(q, keys + 16 * v, dims, from == 0, s + 16 * v, ahead);
      });
}
template <int rows>
void wide_value_rows(const WideWeights& w, const float* p, const float* values, int from, int dims,
                     PageAhead& ahead) {
  for_blocks(
      dims / 16, [&]<int vectors>(int v) __attribute__((always_inline)) {
        wide_values<rows, vectors>(w, p, values + 16 * v, dims, from + 16 * v, ahead);
      });
}

// Calls f.operator()<rows>(first row) for blocks that leave no small rest: of 32 rows not 5 x 6 and
// 2, but 2 x 6 and 4 x 5.
template <class F>
KEDGE_INLINE void for_row_blocks(int count, F f) {
  int row = 0;
  for (int blocks = (count + wide_rows - 1) / wide_rows; blocks > 0; --blocks) {
    const int rows = (count - row + blocks - 1) / blocks;
    if (rows == 6) f.template operator()<6>(row);
    else if (rows == 5) f.template operator()<5>(row);
    else f.template operator()<4>(row);
    row += rows;
  }
}

// fold() of a page's sums into the states, and the factors that are left for o.
KEDGE_INLINE void fold_sums(const Query* query, int count, int width, const ScoreSum* sum,
                            bool first, float* before, float* now) {
  if (first) {  // there is nothing yet to fold into, and nobody asks for the factors
    for (int r = 0; r < count; ++r) {
      store(query[r].state + width, set1(sum[r].m));
      store(query[r].state + width + 16, set1(sum[r].l));
    }
    return;
  }
  alignas(64) float m[attention_queries], later[attention_queries];
  for (int r = 0; r < count; ++r) {
    m[r] = query[r].state[width];
    later[r] = sum[r].m;
  }
  for (int r = count; r % 16 != 0; ++r) m[r] = later[r] = 0;
  for (int r = 0; r < count; r += 16) {
    const F32x16 x = load(m + r), y = load(later + r);
    const F32x16 e = exp<false>(sub(zero(), abs(sub(x, y))));
    const Mask16 grows = greater(y, x);
    store(before + r, select(grows, e, set1(1.0f)));
    store(now + r, select(grows, set1(1.0f), e));
    store(m + r, select(grows, y, x));
  }
  for (int r = 0; r < count; ++r) {
    float* state = query[r].state + width;
    const F32x16 l = set1(sum[r].l);
    store(state, set1(m[r]));
    store(state + 16, fma(l, set1(now[r]), mul(load(state + 16), set1(before[r]))));
  }
}

void read_wide(const Query* query, int count, const AttentionPage& page,
               AttentionWiden widen) noexcept {
  alignas(64) float room[positions * wide_dims], s[attention_queries * positions];
  alignas(64) float before[attention_queries], now[attention_queries];
  ScoreSum sum[attention_queries];
  PageAhead ahead(page, (count + wide_rows - 1) / wide_rows * page_steps(page));
  for (int d = 0; d < page.head_dim; d += wide_dims) {
    const int dims = page.head_dim - d < wide_dims ? page.head_dim - d : wide_dims;
    widen(page, false, d, dims, room);
    for_row_blocks(
        count, [&]<int rows>(int r) __attribute__((always_inline)) {
          wide_score_rows<rows>(query + r, d, dims, room, s + r * positions, ahead);
        });
  }
  softmax_rows(query, count, page.scale, s, sum);
  fold_sums(query, count, page.width, sum, page.first, before, now);
  for (int d = 0; d < page.width; d += wide_dims) {
    const int dims = page.width - d < wide_dims ? page.width - d : wide_dims;
    widen(page, true, d, dims, room);
    for_row_blocks(
        count, [&]<int rows>(int r) __attribute__((always_inline)) {
          wide_value_rows<rows>({query + r, before + r, now + r, page.first}, s + r * positions,
                                room, d, dims, ahead);
        });
  }
}

}  // namespace
}  // namespace KEDGE_ISA
}  // namespace kedge::inline KEDGE_ABI::cpu
