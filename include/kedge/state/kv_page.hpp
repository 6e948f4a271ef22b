// Geometry of the key/value cache: pages of 64 positions, the unit by which attention splits. A
// pool is [pages][layers][kv_heads] of head blocks; a head block is
//   keys    [head_dim][64]        transposed: lanes of a score are positions
//   values  [64][value_width]     value_width = head_dim rounded up to 16, the rest written as 0
// in F32, F16 or BF16. In Q8_0, for head_dim a multiple of 32, both are int8 and each is followed
// by F16 scales, one per position and 32 dimensions:
//   keys    i8 [head_dim][64]     f16 [head_dim / 32][64]
//   values  i8 [64][head_dim]     f16 [64][head_dim / 32]
// The same on every ISA. What is stored for a position depends on that position's row alone, and no
// two positions share a value, so a sequence is undone by its length.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/block.hpp"
#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI {

constexpr std::int64_t page_positions = 64;

// Elements that a cache may be made of, as `--cache` and errors name them.
constexpr const char* cache_elements = "f32, f16, bf16 or q8_0";
KEDGE_INLINE constexpr bool is_cache_element(Element element) noexcept {
  return element == Element::f32 || element == Element::f16 || element == Element::bf16 ||
         element == Element::q8_0;
}

struct KvPageLayout {
  Element element = Element::f16;  // see is_cache_element()
  std::int64_t kv_heads = 0, head_dim = 0, layers = 1;

  KEDGE_INLINE constexpr std::int64_t value_width() const noexcept {
    return (head_dim + 15) / 16 * 16;
  }
  // Elements of one head block, of one layer's part of a page, of a page.
  KEDGE_INLINE constexpr std::int64_t head_elements() const noexcept {
    return page_positions * (head_dim + value_width());
  }
  KEDGE_INLINE constexpr std::int64_t layer_elements() const noexcept {
    return kv_heads * head_elements();
  }
  KEDGE_INLINE constexpr std::int64_t page_elements() const noexcept {
    return layers * layer_elements();
  }
  constexpr std::size_t page_bytes() const noexcept { return row_bytes(element, page_elements()); }
  constexpr std::size_t pool_bytes(std::int64_t pages) const noexcept {
    return static_cast<std::size_t>(pages) * page_bytes();
  }
  constexpr std::size_t bytes_per_position() const noexcept { return page_bytes() / 64; }

  // Byte offset of a head block from the pool's first byte.
  constexpr std::size_t offset(std::int64_t page, std::int64_t layer,
                               std::int64_t head) const noexcept {
    return static_cast<std::size_t>(page) * page_bytes() +
           row_bytes(element, layer * layer_elements() + head * head_elements());
  }

  // Where a value stands inside its head block, in elements. `slot` is position % 64.
  KEDGE_INLINE constexpr std::int64_t key_index(std::int64_t slot, std::int64_t d) const noexcept {
    return d * page_positions + slot;
  }
  KEDGE_INLINE constexpr std::int64_t value_index(std::int64_t slot,
                                                  std::int64_t d) const noexcept {
    return head_dim * page_positions + slot * value_width() + d;
  }

  // The cache argument of op/kv_store.hpp and op/attention.hpp: its data is the layer's part of
  // page 0, a row of it the distance to the same part of the next page. (The last row therefore
  // reaches past the pool's end by what lies before the layer; only the layer's part is touched.)
  constexpr Tensor cache(const void* pool, std::int64_t pages, std::int64_t layer) const noexcept {
    const auto* first = static_cast<const std::byte*>(pool);
    return tensor(first == nullptr ? nullptr : first + offset(0, layer, 0), element, pages,
                  page_elements());
  }
};

// Bytes from a cache argument's data to the end of what operators touch: its last row ends with the
// layer's part.
KEDGE_INLINE std::size_t cache_bytes(const Tensor& cache, const KvPageLayout& layout) noexcept {
  return row_bytes(cache.element, (cache.rows() - 1) * cache.width() + layout.layer_elements());
}

// The head block (page, head) of a layer's cache tensor.
template <class E>
KEDGE_INLINE E* kv_head_block(const Tensor& cache, const KvPageLayout& layout, std::int64_t page,
                              std::int64_t head) noexcept {
  return reinterpret_cast<E*>(
      cache.data +
      row_bytes(layout.element, page * cache.extent[1] + head * layout.head_elements()));
}

// The four parts of a head block in Q8_0.
struct Q8HeadBlock {
  std::int8_t* keys;
  std::uint16_t* key_scales;
  std::int8_t* values;
  std::uint16_t* value_scales;
};
KEDGE_INLINE Q8HeadBlock q8_head_block(const Tensor& cache, const KvPageLayout& layout,
                                       std::int64_t page, std::int64_t head) noexcept {
  std::byte* keys = kv_head_block<std::byte>(cache, layout, page, head);
  const std::int64_t quanta = page_positions * layout.head_dim, scales = quanta / 32 * 2;
  std::byte* values = keys + quanta + scales;
  return {reinterpret_cast<std::int8_t*>(keys), reinterpret_cast<std::uint16_t*>(keys + quanta),
          reinterpret_cast<std::int8_t*>(values),
          reinterpret_cast<std::uint16_t*>(values + quanta)};
}

// Calls f(offset, bytes) for every stretch of a head block that belongs to position `slot` of a
// page.
template <class F>
void for_slot_bytes(const KvPageLayout& layout, std::int64_t slot, F&& f) noexcept {
  const auto call = [&](std::int64_t offset, std::int64_t bytes) {
    f(static_cast<std::size_t>(offset), static_cast<std::size_t>(bytes));
  };
  if (layout.element == Element::q8_0) {
    const std::int64_t dims = layout.head_dim, blocks = dims / 32;
    const std::int64_t quanta = page_positions * dims, values = quanta + quanta / 32 * 2;
    for (std::int64_t d = 0; d < dims; ++d) call(d * page_positions + slot, 1);
    for (std::int64_t b = 0; b < blocks; ++b) call(quanta + 2 * (b * page_positions + slot), 2);
    call(values + slot * dims, dims);
    call(values + quanta + 2 * slot * blocks, 2 * blocks);
    return;
  }
  const std::int64_t size = traits(layout.element).bytes;
  for (std::int64_t d = 0; d < layout.head_dim; ++d) call(layout.key_index(slot, d) * size, size);
  call(layout.value_index(slot, 0) * size, layout.value_width() * size);
}

// Copies what a head block holds for one slot to a slot of another block (or of the same one).
KEDGE_INLINE void copy_slot(const KvPageLayout& layout, const std::byte* from,
                            std::int64_t from_slot, std::byte* to, std::int64_t to_slot) noexcept {
  const auto move = [&](std::int64_t base, std::int64_t stride, std::int64_t bytes) {
    __builtin_memcpy(to + base + to_slot * stride, from + base + from_slot * stride,
                     static_cast<std::size_t>(bytes));
  };
  if (layout.element == Element::q8_0) {
    const std::int64_t dims = layout.head_dim, blocks = dims / 32;
    const std::int64_t quanta = page_positions * dims, values = quanta + quanta / 32 * 2;
    for (std::int64_t d = 0; d < dims; ++d) move(d * page_positions, 1, 1);
    for (std::int64_t b = 0; b < blocks; ++b) move(quanta + 2 * b * page_positions, 2, 2);
    move(values, dims, dims);
    move(values + quanta, 2 * blocks, 2 * blocks);
    return;
  }
  const std::int64_t size = traits(layout.element).bytes;
  for (std::int64_t d = 0; d < layout.head_dim; ++d)
    move(layout.key_index(0, d) * size, size, size);
  move(layout.value_index(0, 0) * size, layout.value_width() * size, layout.value_width() * size);
}

// Writes zeros for the positions from `slot` on of a page that stands alone.
inline void clear_positions(const KvPageLayout& layout, std::byte* page,
                            std::int64_t slot) noexcept {
  for (; slot < page_positions; ++slot)
    for (std::int64_t layer = 0; layer < layout.layers; ++layer)
      for (std::int64_t head = 0; head < layout.kv_heads; ++head) {
        std::byte* block = page + layout.offset(0, layer, head);
        for_slot_bytes(layout, slot, [block](std::size_t offset, std::size_t bytes) {
          __builtin_memset(block + offset, 0, bytes);
        });
      }
}

// What is stored as dimension d of the key (or value) of position `slot` of a page, as F32: for
// references, tools and tests.
inline float kv_stored(const Tensor& cache, const KvPageLayout& layout, std::int64_t page,
                       std::int64_t head, std::int64_t slot, std::int64_t d, bool key) noexcept {
  const std::int64_t index = key ? layout.key_index(slot, d) : layout.value_index(slot, d);
  if (layout.element == Element::q8_0) {
    const Q8HeadBlock b = q8_head_block(cache, layout, page, head);
    const std::int64_t blocks = layout.head_dim / 32;
    const std::uint16_t scale =
        key ? b.key_scales[d / 32 * page_positions + slot] : b.value_scales[slot * blocks + d / 32];
    const std::int8_t quantum =
        key ? b.keys[d * page_positions + slot] : b.values[slot * layout.head_dim + d];
    return f16_to_f32(scale) * static_cast<float>(quantum);
  }
  if (layout.element == Element::f32) return kv_head_block<float>(cache, layout, page, head)[index];
  const std::uint16_t bits = kv_head_block<std::uint16_t>(cache, layout, page, head)[index];
  return layout.element == Element::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

// Attention sums positions in splits that depend on the absolute position alone: one page each up
// to position 512, then eight pages each. These say which pages a split has.
constexpr std::int64_t single_page_splits = 8, pages_per_split = 8;

KEDGE_INLINE constexpr std::int64_t split_of_page(std::int64_t page) noexcept {
  return page < single_page_splits
             ? page
             : single_page_splits + (page - single_page_splits) / pages_per_split;
}
KEDGE_INLINE constexpr std::int64_t first_page_of_split(std::int64_t split) noexcept {
  return split < single_page_splits
             ? split
             : single_page_splits + (split - single_page_splits) * pages_per_split;
}
// Splits that hold the first `keys` > 0 positions.
KEDGE_INLINE constexpr std::int64_t split_count(std::int64_t keys) noexcept {
  return split_of_page((keys - 1) / page_positions) + 1;
}

namespace op {

// Whether a cache of this element may hold heads of this size.
inline Status expect_cache_element(const char* op, Element element,
                                   std::int64_t head_dim) noexcept {
  if (!is_cache_element(element))
    return fail(Code::unsupported, op, "cache: expected %s, found %s", cache_elements,
                to_string(element));
  if (element == Element::q8_0 && head_dim % 32 != 0)
    return fail(Code::unsupported, op, "cache: q8_0 needs head_dim divisible by 32, found %lld",
                static_cast<long long>(head_dim));
  return {};
}

// The rules that operators on a cache share: its element, and head blocks that fit into a page.
inline Status expect_cache(const char* op, const Tensor& cache, std::int64_t kv_heads,
                           std::int64_t head_dim) noexcept {
  if (kv_heads < 1)
    return fail(Code::invalid_argument, op, "kv_heads: expected at least 1, found %lld",
                static_cast<long long>(kv_heads));
  if (head_dim < 4 || head_dim > 256 || head_dim % 4 != 0)
    return fail(Code::unsupported, op, "head_dim: expected a multiple of 4 up to 256, found %lld",
                static_cast<long long>(head_dim));
  if (cache.empty()) return fail(Code::invalid_argument, op, "argument cache is missing");
  KEDGE_CHECK(expect_cache_element(op, cache.element, head_dim));
  const KvPageLayout layout{cache.element, kv_heads, head_dim, 1};
  if (cache.rank != 2 || cache.width() < layout.layer_elements())
    return fail(Code::invalid_argument, op,
                "cache: expected [pages, at least %lld elements], found rank %d and width %lld",
                static_cast<long long>(layout.layer_elements()), int(cache.rank),
                static_cast<long long>(cache.width()));
  return {};
}

}  // namespace op
}  // namespace kedge::inline KEDGE_ABI
