// attention micro-kernel, the walk: which pages of which split a unit reads for which queries, and
// how partial results are folded. Schedules are in kernel/cpu/attention.hpp. A mask is a type
// (op/mask.hpp): without one, none of its code is compiled.
#pragma once

#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/attention_branch-inl.hpp"
#include "kedge/kernel/cpu/attention_page.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

KEDGE_INLINE const AttentionPageUnit& page_unit(Element cache) {
  constexpr const AttentionPageUnit* units[cache_kinds] = {
      &KEDGE_UNIT(attention_page_f32), &KEDGE_UNIT(attention_page_f16),
      &KEDGE_UNIT(attention_page_bf16), &KEDGE_UNIT(attention_page_q8_0)};
  return *units[cache_kind(cache)];
}

// One tile and key/value head. Its queries are numbered row by row, heads of the group within.
template <class Mask_>
struct Work {
  using Mask = Mask_;
  const Attention::Args& a;
  const Attention::Tile& tile;
  int head;  // key/value head
  KvPageLayout layout = Attention::layout(a);
  int group = a.heads / a.kv_heads;
  const AttentionPageUnit& unit = page_unit(a.cache.element);

  KEDGE_INLINE int queries() const { return tile.row_count * group; }
  // Queries one after the other, without a division for each.
  struct Cursor {
    int row, of_group;
  };
  KEDGE_INLINE Cursor cursor(int query) const {
    return {tile.first_row + query / group, query % group};
  }
  KEDGE_INLINE void next(Cursor& c) const {
    if (++c.of_group < group) return;
    c.of_group = 0;
    ++c.row;
  }
  KEDGE_INLINE int row(int query) const { return tile.first_row + query / group; }
  KEDGE_INLINE int query_head(int query) const { return head * group + query % group; }
  KEDGE_INLINE int position(int query) const { return a.position.as<std::int32_t>()[row(query)]; }
  // Which of the positions from `first` on a query sees, as bits.
  KEDGE_INLINE std::uint64_t seen(int query, std::int64_t first, int keys) const {
    const std::int64_t at = position(query);
    std::uint64_t bits = 0;
    for (int j = 0; j < keys; ++j)
      if (first + j == at || op::mask_sees<Mask>(a, row(query), at, first + j))
        bits |= std::uint64_t{1} << j;
    return bits;
  }
  // A mask by row takes away what lies before a position: most pages are seen whole or not at all.
  KEDGE_INLINE bool sees_whole(int query, std::int64_t first) const {
    if constexpr (op::mask::by_row<Mask>)
      return a.first.template as<std::int32_t>()[row(query)] <= first;
    else return false;
  }
  KEDGE_INLINE const std::byte* block(const std::int32_t* pages, std::int64_t page) const {
    return kv_head_block<std::byte>(a.cache, layout, pages[page], head);
  }
};

// The same page for every query as its row's branch has it, one by one.
template <class Mask, class StateOf>
__attribute__((noinline)) void read_branches(const Work<Mask>& work, AttentionPage page,
                                             std::int64_t index, int begin, int end,
                                             StateOf state_of) {
  const Attention::Args& a = work.a;
  BranchPage branch(a, a.pages.row<std::int32_t>(work.tile.sequence), index, work.head);
  page.keys = branch.here(page.keys);
  page.values = branch.here(page.values);
  page.ahead_bytes = 0;
  if (page.key_scales != nullptr) {
    page.key_scales = branch.here(page.key_scales);
    page.value_scales = branch.here(page.value_scales);
  }
  int shown = -1;
  for (int i = begin; i < end; ++i) {
    const std::int64_t keys = work.position(i) + 1 - index * page_positions;
    if (keys <= 0) continue;
    if (work.row(i) != shown) branch.show(shown = work.row(i));
    AttentionQuery query{a.q.row<float>(work.row(i)) + work.query_head(i) * a.head_dim,
                         state_of(i, work.cursor(i)),
                         keys < page_positions ? static_cast<int>(keys) : positions};
    if constexpr (Mask::all_earlier) {
      work.unit.read(&query, 1, page);
    } else {
      query.seen = work.seen(i, index * page_positions, query.keys);
      if (query.seen != 0) work.unit.read_masked(query, page);
    }
  }
}

// Reads the pages of a split for queries [begin, end); state_of(query, cursor) is where each one's
// state is. A query whose position lies before the split is left alone.
template <class Mask, class StateOf>
void read_split(const Work<Mask>& work, std::int64_t split, int begin, int end, StateOf state_of) {
  const Attention::Args& a = work.a;
  const auto* pages = a.pages.row<std::int32_t>(work.tile.sequence);
  const auto* position = a.position.as<std::int32_t>();
  const float* q = a.q.as<float>() + work.head * work.group * a.head_dim;
  const std::int64_t q_step = a.q.width();
  const std::int64_t all = (work.tile.keys + page_positions - 1) / page_positions;
  const std::int64_t first_page = first_page_of_split(split);
  const std::int64_t next_split = first_page_of_split(split + 1);
  const std::int64_t last_page = next_split < all ? next_split : all;
  // Pages before this one hold committed positions only.
  const std::int64_t branch_page =
      Attention::branches(a) ? branch_base(a, work.tile.first_row) / page_positions : all;
  if constexpr (!Mask::all_earlier)
    for (int i = begin; i < end; ++i)
      empty_state(state_of(i, work.cursor(i)), static_cast<int>(work.layout.value_width()));
  const auto head_bytes =
      static_cast<std::int64_t>(row_bytes(work.layout.element, work.layout.head_elements()));
  for (std::int64_t p = first_page; p < last_page; ++p) {
    const std::byte* tile = work.block(pages, p);
    auto values =
        static_cast<std::ptrdiff_t>(row_bytes(work.layout.element, work.layout.value_index(0, 0)));
    const std::uint16_t *key_scales = nullptr, *value_scales = nullptr;
    if (work.layout.element == Element::q8_0) {
      const Q8HeadBlock block = q8_head_block(a.cache, work.layout, pages[p], work.head);
      values = block.values - block.keys;
      key_scales = block.key_scales;
      value_scales = block.value_scales;
    }
    AttentionPage page{tile,
                       tile + values,
                       key_scales,
                       value_scales,
                       p + 1 < all ? work.block(pages, p + 1) : tile,
                       p + 1 < all ? head_bytes : 0,
                       a.head_dim,
                       static_cast<int>(work.layout.value_width()),
                       Attention::scale(a),
                       p == first_page};
    if (p >= branch_page) {
      read_branches(work, page, p, begin, end, state_of);
      continue;
    }
    AttentionQuery query[attention_queries];
    int count = 0;
    const auto read = [&] {
      bool wide = count >= attention_many && KEDGE_UNIT(attention_wide).read != nullptr;
      for (int i = 0; i < count; ++i) wide = wide && query[i].keys == positions;
      if (wide) KEDGE_UNIT(attention_wide).read(query, count, page, work.unit.widen);
      else work.unit.read(query, count, page);
      page.ahead_bytes = 0;  // fetched by now
      count = 0;
    };
    auto cursor = work.cursor(begin);
    for (int i = begin; i < end; ++i, work.next(cursor)) {
      const std::int64_t keys = position[cursor.row] + 1 - p * page_positions;
      if (keys <= 0) continue;
      query[count++] = {q + cursor.row * q_step + cursor.of_group * a.head_dim, state_of(i, cursor),
                        keys < page_positions ? static_cast<int>(keys) : positions};
      if constexpr (!Mask::all_earlier) {
        if (!work.sees_whole(i, p * page_positions)) {
          AttentionQuery& last = query[--count];
          last.seen = work.seen(i, p * page_positions, last.keys);
          if (last.seen != 0) work.unit.read_masked(last, page);
          continue;
        }
      }
      if (count == attention_queries) read();
    }
    if (count > 0) read();
  }
}

// y = o / l for one row and head
__attribute__((noinline)) void finish(const Attention::Args& a, const float* state, int width,
                                      int row, int head) {
  const F32x16 l = load(state + width + 16);
  const int head_dim = a.head_dim;
  if (a.y.element == Element::q8_act) {
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

// Apart, first phase: unit = (tile, head, split), splits side by side.
template <class Mask>
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
    const Work<Mask> work{a, *tiles, static_cast<int>(at / splits)};
    const auto split = static_cast<std::int64_t>(at % splits);
    read_split(
        work, split, 0,
        work.queries(), [&](int, typename Work<Mask>::Cursor c) __attribute__((always_inline)) {
          return record_of(a, c.row, work.head * work.group + c.of_group, split);
        });
  }
}

// Apart, second phase: unit = (row, head).
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
    finish(a, state, width, row, head);
  }
}

// As one: unit = (head, tile). Tiles are taken from both ends in turn, since later ones have
// more keys and a worker gets neighbouring units.
template <class Mask>
void attend_tiles(const Attention::Args& a, std::size_t begin, std::size_t end) noexcept {
  constexpr int room = 6144;  // values of state on the stack, twice
  alignas(64) float total[room], partial[room];
  const int count = a.tiles.as<Attention::TileHeader>()->count;
  const auto width = static_cast<int>(Attention::layout(a).value_width());
  const int record = width + 32, chunk = room / record / attention_many * attention_many;
  for (std::size_t unit = begin; unit < end; ++unit) {
    const int turn = static_cast<int>(unit) % count;
    const int index = turn % 2 == 0 ? turn / 2 : count - 1 - turn / 2;
    const Work<Mask> work{a, a.tiles.as<Attention::Tile>()[1 + index],
                          static_cast<int>(unit) / count};
    for (int from = 0; from < work.queries(); from += chunk) {
      const int to = from + chunk < work.queries() ? from + chunk : work.queries();
      const auto state_in = [&](float* states) __attribute__((always_inline)) {
        return [=](int i, auto&&...) __attribute__((always_inline)) {
          return states + (i - from) * record;
        };
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
        finish(a, total + (i - from) * record, width, work.row(i), work.query_head(i));
    }
  }
}

template <class Mask>
void attend(const void* args, const Launch& launch, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const Attention::Args*>(args);
  if (attention_apart(a, launch)) attend_splits<Mask>(a, begin, end);
  else attend_tiles<Mask>(a, begin, end);
}

template <class Mask>
inline constexpr AttentionUnit attention_table = {attend<Mask>, fold_splits};

}  // namespace
}  // namespace KEDGE_ISA
}  // namespace kedge::inline KEDGE_ABI::cpu
