// attention micro-kernel; op/attention.hpp has the definition. Plan: the rows of a tile times the
// query heads of a group all read the same page, four of them at a time:
//   1. scores of 4 query rows x 64 positions in registers (keys are transposed: no horizontal sum)
//   2. scale, maximum, exp and sum, masked lanes replaced by select
//   3. 4 query rows x 64 dimensions of the values in registers, over the positions all four see;
//      a row that sees more of the page goes on alone from what is stored
//   4. the page is folded into the row's state (o, m, l)
// While the first four rows read a page, the next page is fetched.
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/cached-inl.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using op::Attention;

constexpr int max_head_dim = 256;
constexpr int positions = static_cast<int>(page_positions);
// Scalar code gains nothing from several rows and would take most of a minute to build.
#if defined(KEDGE_ISA_IS_scalar)
constexpr int block_rows = 1;
#else
constexpr int block_rows = 4;
#endif
// 32 registers hold 4 rows x 4 vectors of sums; 16 registers 4 rows x 1 (of two halves).
constexpr int block_vectors = max_columns == 16 ? 4 : 1;

// One query row of one head while it reads a page.
struct Query {
  const float* q;
  float* state;  // o [value_width], m [16], l [16]
  int keys;      // positions of the page that it may see, 1..64
};

// What is the same for all queries of a page.
template <class Cached>
struct Page {
  using E = typename Cached::Stored;
  const E *keys, *values;                          // the tiles
  const E *keys_ahead, *values_ahead;              // what to fetch meanwhile
  const std::uint16_t *key_scales, *value_scales;  // of blocks, else null
  int head_dim, width;
  float scale;
  bool first;  // of its split: the state is written, not folded
};

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

struct Sums {
  F32x16 m, l;
};

// The three below are called, not inlined: once per page and row, and long.

// Turns 64 scores into weights in place; only the first `keys` are looked at.
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

// Folds (o, m, l) of later positions into a state.
__attribute__((noinline)) void fold(float* state, int width, Sums later, const float* o) {
  const F32x16 m = load(state + width), l = load(state + width + 16);
  // A NaN in m is in l as well, and it reaches l and o through e or as it is.
  const F32x16 e = exp(sub(zero(), abs(sub(m, later.m))));
  const Mask16 grows = greater(later.m, m);
  const F32x16 a = select(grows, e, set1(1.0f)), b = select(grows, set1(1.0f), e);
  store(state + width, select(grows, later.m, m));
  store(state + width + 16, fma(later.l, b, mul(l, a)));
  for (int d = 0; d < width; d += 16)
    store(state + d, fma(load(o + d), b, mul(load(state + d), a)));
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
void read_page(const Query* query, int count, const Page<Cached>& page) {
  if constexpr (block_rows == 4) {
    if (count == 4) read_page<4>(query, page);
    else if (count == 3) read_page<3>(query, page);
    else if (count == 2) read_page<2>(query, page);
  }
  if (count == 1) read_page<1>(query, page);
}

// One tile and key/value head. Its queries are numbered row by row, heads of the group within.
template <class Cached>
struct Work {
  using E = typename Cached::Stored;
  const Attention::Args& a;
  const Attention::Tile& tile;
  int head;  // key/value head
  KvPageLayout layout = Attention::layout(a);
  int group = a.heads / a.kv_heads;

  KEDGE_INLINE int queries() const { return tile.row_count * group; }
  KEDGE_INLINE int row(int query) const { return tile.first_row + query / group; }
  KEDGE_INLINE int query_head(int query) const { return head * group + query % group; }
  KEDGE_INLINE int position(int query) const { return a.position.as<std::int32_t>()[row(query)]; }
  KEDGE_INLINE const E* block(const std::int32_t* pages, std::int64_t page) const {
    return kv_head_block<E>(a.cache, layout, pages[page], head);
  }
};

// Reads the pages of a split for queries [begin, end); state_of(query) is where each one's state
// is. A query whose position lies before the split is left alone.
template <class Cached, class StateOf>
void read_split(const Work<Cached>& work, std::int64_t split, int begin, int end,
                StateOf state_of) {
  const Attention::Args& a = work.a;
  const auto* pages = a.pages.row<std::int32_t>(work.tile.sequence);
  const std::int64_t all = (work.tile.keys + page_positions - 1) / page_positions;
  const std::int64_t first_page = first_page_of_split(split);
  const std::int64_t next_split = first_page_of_split(split + 1);
  const std::int64_t last_page = next_split < all ? next_split : all;
  for (std::int64_t p = first_page; p < last_page; ++p) {
    const auto* tile = work.block(pages, p);
    const auto* ahead = p + 1 < all ? work.block(pages, p + 1) : tile;
    std::int64_t values = work.layout.value_index(0, 0);
    const std::uint16_t *key_scales = nullptr, *value_scales = nullptr;
    if constexpr (Cached::block > 0) {
      const Q8HeadBlock block = q8_head_block(a.cache, work.layout, pages[p], work.head);
      values = block.values - block.keys;
      key_scales = block.key_scales;
      value_scales = block.value_scales;
    }
    Page<Cached> page{tile,
                      tile + values,
                      ahead,
                      ahead + values,
                      key_scales,
                      value_scales,
                      a.head_dim,
                      static_cast<int>(work.layout.value_width()),
                      Attention::scale(a),
                      p == first_page};
    Query query[block_rows];
    int count = 0;
    for (int i = begin; i < end; ++i) {
      const std::int64_t keys = work.position(i) + 1 - p * page_positions;
      if (keys <= 0) continue;
      query[count++] = {a.q.row<float>(work.row(i)) + work.query_head(i) * a.head_dim, state_of(i),
                        keys < page_positions ? static_cast<int>(keys) : positions};
      if (count < block_rows) continue;
      read_page(query, count, page);
      count = 0;
      page.keys_ahead = page.keys;  // fetched by now
      page.values_ahead = page.values;
    }
    read_page(query, count, page);
  }
}

// y = o / l for one row and head
template <bool rounded>
__attribute__((noinline)) void finish(const Attention::Args& a, const float* state, int width,
                                      int row, int head) {
  const F32x16 l = load(state + width + 16);
  const int head_dim = a.head_dim;
  if constexpr (rounded) {
    BlockQ8Act* y = a.y.row<BlockQ8Act>(row) + head * (head_dim / 32);
    for (int d = 0; d < head_dim; d += 32)
      round_block(div(load(state + d), l), div(load(state + d + 16), l), y[d / 32]);
  } else {
    float* y = a.y.row<float>(row) + head * head_dim;
    int d = 0;
    for (; d + 16 <= head_dim; d += 16) store(y + d, div(load(state + d), l));
    if (d < head_dim) store_first(y + d, div(load(state + d), l), head_dim - d);
  }
}

KEDGE_INLINE float* record_of(const Attention::Args& a, std::int64_t row, std::int64_t head,
                              std::int64_t split) {
  const std::int64_t* extent = a.scratch.extent;
  return a.scratch.as<float>() + ((row * extent[1] + head) * extent[2] + split) * extent[3];
}

// Few rows, first phase: unit = (tile, head, split), splits side by side.
template <class Cached>
void attend_splits(const Attention::Args& a, std::size_t begin, std::size_t end) noexcept {
  const auto* tiles = a.tiles.as<Attention::Tile>() + 1;
  std::size_t first_unit = 0;  // of the tile
  for (std::size_t unit = begin; unit < end; ++unit) {
    std::size_t splits = static_cast<std::size_t>(split_count(tiles->keys));
    while (unit - first_unit >= splits * static_cast<std::size_t>(a.kv_heads)) {
      first_unit += splits * static_cast<std::size_t>(a.kv_heads);
      ++tiles;
      splits = static_cast<std::size_t>(split_count(tiles->keys));
    }
    const std::size_t at = unit - first_unit;
    const Work<Cached> work{a, *tiles, static_cast<int>(at / splits)};
    const auto split = static_cast<std::int64_t>(at % splits);
    read_split(
        work, split, 0, work.queries(), [&](int i) __attribute__((always_inline)) {
          return record_of(a, work.row(i), work.query_head(i), split);
        });
  }
}

// Few rows, second phase: unit = (row, head).
template <bool rounded>
void fold_splits(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const Attention::Args*>(args);
  const auto width = static_cast<int>(Attention::layout(a).value_width());
  alignas(64) float state[max_head_dim + 32];
  for (std::size_t unit = begin; unit < end; ++unit) {
    const int row = static_cast<int>(unit) / a.heads, head = static_cast<int>(unit) % a.heads;
    const std::int64_t splits = split_count(a.position.as<std::int32_t>()[row] + 1);
    const float* record = record_of(a, row, head, 0);
    for (int i = 0; i < width + 32; i += 16) store(state + i, load(record + i));
    for (std::int64_t split = 1; split < splits; ++split) {
      record = record_of(a, row, head, split);
      fold(state, width, {load(record + width), load(record + width + 16)}, record);
    }
    finish<rounded>(a, state, width, row, head);
  }
}

// Many rows: unit = (head, tile). Tiles are taken from both ends in turn, since later ones have
// more keys and a worker gets neighbouring units.
template <class Cached, bool rounded>
void attend_tiles(const Attention::Args& a, std::size_t begin, std::size_t end) noexcept {
  constexpr int room = 6144;  // values of state on the stack, twice
  alignas(64) float total[room], partial[room];
  const int count = a.tiles.as<Attention::TileHeader>()->count;
  const auto width = static_cast<int>(Attention::layout(a).value_width());
  const int record = width + 32, chunk = room / record / block_rows * block_rows;
  for (std::size_t unit = begin; unit < end; ++unit) {
    const int turn = static_cast<int>(unit) % count;
    const int index = turn % 2 == 0 ? turn / 2 : count - 1 - turn / 2;
    const Work<Cached> work{a, a.tiles.as<Attention::Tile>()[1 + index],
                            static_cast<int>(unit) / count};
    for (int from = 0; from < work.queries(); from += chunk) {
      const int to = from + chunk < work.queries() ? from + chunk : work.queries();
      const auto state_in = [&](float* states) __attribute__((always_inline)) {
        return [=](int i) __attribute__((always_inline)) { return states + (i - from) * record; };
      };
      read_split(work, 0, from, to, state_in(total));
      const std::int64_t splits = split_count(work.tile.keys);
      for (std::int64_t split = 1; split < splits; ++split) {
        read_split(work, split, from, to, state_in(partial));
        const std::int64_t start = first_page_of_split(split) * page_positions;
        for (int i = from; i < to; ++i) {
          if (work.position(i) < start) continue;
          const float* later = partial + (i - from) * record;
          fold(total + (i - from) * record, width, {load(later + width), load(later + width + 16)},
               later);
        }
      }
      for (int i = from; i < to; ++i)
        finish<rounded>(a, total + (i - from) * record, width, work.row(i), work.query_head(i));
    }
  }
}

template <class Cached, bool rounded>
void attend(const void* args, const Launch& launch, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const Attention::Args*>(args);
  if (launch.rows <= Attention::few_rows) attend_splits<Cached>(a, begin, end);
  else attend_tiles<Cached, rounded>(a, begin, end);
}

}  // namespace
}  // namespace KEDGE_ISA

extern const AttentionUnit KEDGE_UNIT(attention);
const AttentionUnit KEDGE_UNIT(attention) = {
    {{KEDGE_ISA::attend<KEDGE_ISA::CachedF32, false>,
      KEDGE_ISA::attend<KEDGE_ISA::CachedF32, true>},
     {KEDGE_ISA::attend<KEDGE_ISA::CachedF16, false>,
      KEDGE_ISA::attend<KEDGE_ISA::CachedF16, true>},
     {KEDGE_ISA::attend<KEDGE_ISA::CachedBF16, false>,
      KEDGE_ISA::attend<KEDGE_ISA::CachedBF16, true>},
     {KEDGE_ISA::attend<KEDGE_ISA::CachedQ8_0, false>,
      KEDGE_ISA::attend<KEDGE_ISA::CachedQ8_0, true>}},
    {KEDGE_ISA::fold_splits<false>, KEDGE_ISA::fold_splits<true>}};

}  // namespace kedge::inline KEDGE_ABI::cpu
