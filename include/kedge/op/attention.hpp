// attention: causal grouped-query attention through the pages of a key/value cache. The row at
// position p of a sequence attends to the keys at 0..p of that sequence, its own included, which
// kv_store has written before. Query head h reads key/value head h / (heads / kv_heads).
//
// What is computed, with the same bytes on every ISA, for any batch, threads and page numbers:
//   stored  k and v are what the cache holds, as F32; in Q8_0 quantum times scale, rounded
//   score   s_j = (fma chain over d ascending of q[d] k_j[d], from 0) * scale
//   page    of 64 positions: m = max s_j; p_j = exp(s_j - m); l = sum of p_j in 16 lanes (position
//           mod 16), the four of a lane as (0+1)+(2+3), lanes by the fixed tree;
//           o[d] = fma chain over j ascending of p_j v_j[d], from 0. Only j <= p take part: what
//           stands beyond, NaN or not, is never multiplied, only passed over.
//   fold    of two such (m, l, o): e = exp(-|m1 - m2|); the one with the smaller m has weight e,
//           the other 1 (a1 and a2); m = max, l = fma(l2, a2, l1 a1), o = fma(o2, a2, o1 a1)
//   order   pages ascending inside a split, then splits ascending (state/kv_page.hpp); y = o / l
// Rows may form trees: a row then sees the committed positions before its branch and its ancestors,
// in the order of their positions, and gets the bytes that it would get if its branch alone were
// the text. Rows of a tree are stored in slots of their own (kv_store's `position`).
// A NaN in q, in an attended key or value gives NaN.
#pragma once

#include "kedge/op/mask.hpp"
#include "kedge/op/op.hpp"
#include "kedge/state/kv_page.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct Attention {
  static constexpr const char* name = "attention";

  // Up to this many rows the splits of a sequence are work of their own, so that few rows with a
  // long context keep all workers busy; above it tiles and heads are enough.
  static constexpr std::int64_t few_rows = 16;
  static constexpr std::int64_t tile_rows = 16;

  struct Args {
    Tensor q, position, sequence, pages, cache, tiles, scratch, y;
    Tensor slot, parent;  // of trees
    Tensor first;         // of masks by row (op/mask.hpp)
    std::int32_t heads = 0;
    std::int32_t kv_heads = 0;
    std::int32_t head_dim = 0;
    float scale = 0;  // 0: 1 / sqrt(head_dim)
  };

  // Consecutive rows of one sequence that share the reading of its pages. The first of `tiles` is
  // a header; fill_attention_tiles() writes all of it.
  struct Tile {
    std::int32_t first_row, row_count, sequence, keys;  // keys: largest position + 1
  };
  struct TileHeader {
    std::int32_t count, rows;
    std::int32_t branches;  // not 0: some row is not stored where its position is
    std::int32_t unused;
  };
  static KEDGE_INLINE bool branches(const Args& a) noexcept {
    return !a.parent.empty() && a.tiles.as<TileHeader>()->branches != 0;
  }

  static KEDGE_INLINE constexpr KvPageLayout layout(const Args& a) noexcept {
    return {a.cache.element, a.kv_heads, a.head_dim, 1};
  }
  static std::size_t cache_bytes(const Args& a) noexcept {
    return ::kedge::cache_bytes(a.cache, layout(a));
  }
  static KEDGE_INLINE float scale(const Args& a) noexcept {
    return a.scale != 0 ? a.scale : 1.0f / __builtin_sqrtf(static_cast<float>(a.head_dim));
  }
  // Values of one partial result in scratch: o, then m and l in 16 equal lanes each.
  static KEDGE_INLINE constexpr std::int64_t record(const KvPageLayout& layout) noexcept {
    return layout.value_width() + 32;
  }

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("q", &Args::q, Role::input, "[rows, heads * head_dim] f32");
    v.tensor("position", &Args::position, Role::input, "[rows] i32, absolute position");
    v.tensor("sequence", &Args::sequence, Role::input, "[rows] i32, row of `pages`");
    v.tensor("pages", &Args::pages, Role::input,
             "[sequences, max_pages] i32, physical page of positions 64 i .. 64 i + 63");
    v.tensor("cache", &Args::cache, Role::state,
             "[pages, distance between pages] f32, f16, bf16 or q8_0, data at the layer's part of "
             "page 0");
    v.tensor("tiles", &Args::tiles, Role::input,
             "[1 + tiles, 4] i32 by fill_attention_tiles(); room for 1 + rows is always enough");
    v.tensor("scratch", &Args::scratch, Role::scratch,
             "[min(rows, 16), heads, splits, value_width + 32] f32");
    v.tensor("y", &Args::y, Role::output, "[rows, heads * head_dim] f32, or q8_act");
    v.tensor("slot", &Args::slot, Role::input,
             "[rows] i32, the position whose place in the cache holds a row; optional: its own");
    v.tensor("parent", &Args::parent, Role::input,
             "[rows] i32, the row before in a row's branch, -1: the sequence's newest position; "
             "optional: there are no trees");
    v.tensor("first", &Args::first, Role::input,
             "[rows] i32, the first position that a row sees, of bounded_attention; optional");
    v.setting("heads", &Args::heads, "query heads");
    v.setting("kv_heads", &Args::kv_heads, "key/value heads, a divisor of heads");
    v.setting("head_dim", &Args::head_dim, "values per head, a multiple of 4 up to 256");
    v.setting("scale", &Args::scale, "factor of the scores; 0: 1 / sqrt(head_dim)");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.q.rows(), a.q.width());
    if (a.scratch.empty())
      a.scratch = tensor(nullptr, Element::f32, scratch_rows(a), a.heads,
                         split_count(a.pages.width() * page_positions), record(layout(a)));
    return {};
  }

  static Status check(const Args& a) noexcept {
    if (!a.first.empty())
      return fail(Code::invalid_argument, name, "first: only bounded_attention has a use for it");
    return check_all(a);
  }
  static Status check_all(const Args& a) noexcept {
    KEDGE_CHECK(expect_cache(name, a.cache, a.kv_heads, a.head_dim));
    if (a.heads < 1 || a.heads % a.kv_heads != 0)
      return fail(Code::invalid_argument, name,
                  "heads: expected a multiple of kv_heads %d, found %d", a.kv_heads, a.heads);
    const std::int64_t rows = a.q.rows(), width = std::int64_t{a.heads} * a.head_dim;
    KEDGE_CHECK(expect_shape(name, "q", a.q, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "position", a.position, Element::i32, 1, rows));
    KEDGE_CHECK(expect_shape(name, "sequence", a.sequence, Element::i32, 1, rows));
    KEDGE_CHECK(
        expect_shape(name, "pages", a.pages, Element::i32, a.pages.rows(), a.pages.width()));
    KEDGE_CHECK(expect_shape(name, "tiles", a.tiles, Element::i32, a.tiles.rows(), 4));
    if (!a.slot.empty() || !a.parent.empty()) {
      KEDGE_CHECK(expect_shape(name, "slot", a.slot, Element::i32, 1, rows));
      KEDGE_CHECK(expect_shape(name, "parent", a.parent, Element::i32, 1, rows));
    }
    const Element out = a.y.element == Element::q8_act ? Element::q8_act : Element::f32;
    KEDGE_CHECK(expect_shape(name, "y", a.y, out, rows, width));
    if (out == Element::q8_act && a.head_dim % 32 != 0)
      return fail(Code::unsupported, name, "y: q8_act needs head_dim divisible by 32, found %d",
                  a.head_dim);
    const std::int64_t splits = split_count(a.pages.width() * page_positions);
    const Tensor& s = a.scratch;
    if (s.rank != 4 || s.element != Element::f32 || s.extent[0] < scratch_rows(a) ||
        s.extent[1] != a.heads || s.extent[2] < splits || s.extent[3] != record(layout(a)))
      return fail(Code::invalid_argument, name,
                  "scratch: expected f32 [%lld, %d, %lld, %lld] as infer() gives it",
                  static_cast<long long>(scratch_rows(a)), a.heads, static_cast<long long>(splits),
                  static_cast<long long>(record(layout(a))));
    return {};
  }

  // Of rows at the end of full pages: the most that this call can ask for.
  static Cost cost(const Args& a) noexcept {
    const auto keys = static_cast<double>(a.pages.width() * page_positions);
    const auto rows = static_cast<double>(a.q.rows());
    const double values = keys * a.kv_heads * 2.0 * a.head_dim;
    const ElementTraits stored = traits(a.cache.element);
    return {values * stored.bytes / stored.block * static_cast<double>(a.pages.rows()) +
                static_cast<double>(a.q.bytes() + a.y.bytes()),
            rows * keys * a.heads * 4.0 * a.head_dim};
  }

 private:
  static constexpr std::int64_t scratch_rows(const Args& a) noexcept {
    return a.q.rows() < few_rows ? a.q.rows() : few_rows;
  }
};

// Attention that sees less (op/mask.hpp). Same arguments, shapes and order of sums; a key that the
// mask takes away is passed over as if it were not there, NaN or not.
template <class Mask>
struct MaskedAttention : Attention {
  static constexpr const char* name = Mask::name;
  static Status check(const Args& a) noexcept {
    if constexpr (!mask::by_row<Mask>) return Attention::check(a);
    KEDGE_CHECK(expect_shape(name, "first", a.first, Element::i32, 1, a.q.rows()));
    return check_all(a);
  }
};

template <class Mask>
KEDGE_INLINE bool mask_sees(const Attention::Args& a, std::int64_t row, std::int64_t query,
                            std::int64_t key) noexcept {
  if constexpr (mask::by_row<Mask>) return Mask::sees(query, key, a.first.as<std::int32_t>()[row]);
  else return Mask::sees(query, key);
}

// Cuts rows [0, rows) of a call into tiles; `tiles` is the argument, i32 [1 + tiles, 4]. Host code
// calls it before each run; it is a few comparisons per row. `slot` is the argument too, null where
// there is none. Code::invalid_argument when a position is negative or `tiles` has too little room.
inline Status fill_attention_tiles(const std::int32_t* position, const std::int32_t* sequence,
                                   std::int64_t rows, const Tensor& tiles,
                                   const std::int32_t* slot = nullptr) noexcept {
  static_assert(sizeof(Attention::Tile) == 16 && sizeof(Attention::TileHeader) == 16);
  auto* list = tiles.as<Attention::Tile>() + 1;
  std::int64_t count = 0;
  std::int32_t branches = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    if (slot != nullptr && slot[r] != position[r]) branches = 1;
    if (position[r] < 0)
      return fail(Code::invalid_argument, Attention::name, "row %lld: position %d is negative",
                  static_cast<long long>(r), position[r]);
    if (r == 0 || list[count - 1].sequence != sequence[r] ||
        list[count - 1].row_count == Attention::tile_rows) {
      if (1 + count == tiles.rows())
        return fail(Code::invalid_argument, Attention::name,
                    "tiles: %lld rows need more than the %lld tiles there is room for",
                    static_cast<long long>(rows), static_cast<long long>(count));
      list[count++] = {static_cast<std::int32_t>(r), 0, sequence[r], 0};
    }
    Attention::Tile& tile = list[count - 1];
    ++tile.row_count;
    if (position[r] + 1 > tile.keys) tile.keys = position[r] + 1;
  }
  *tiles.as<Attention::TileHeader>() = {static_cast<std::int32_t>(count),
                                        static_cast<std::int32_t>(rows), branches, 0};
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::op
