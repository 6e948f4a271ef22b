// Geometry of the key/value cache: pages of 64 positions, the unit by which attention splits. A
// pool is [pages][layers][kv_heads] of head blocks; a head block is
//   keys    [head_dim][64]        transposed: lanes of a score are positions
//   values  [64][value_width]     value_width = head_dim rounded up to 16, the rest written as 0
// in F32 or F16. The same on every ISA. What is stored for a position depends on that position's
// row alone, and no two positions share a value, so a sequence is undone by its length.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI {

constexpr std::int64_t page_positions = 64;

struct KvPageLayout {
  Element element = Element::f16;  // f16 or f32
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

  // Writes zeros for the positions from `slot` on of a page that stands alone, F32 or F16.
  void clear_from(std::byte* page, std::int64_t slot) const noexcept {
    const std::size_t size = row_bytes(element, 1);
    for (std::int64_t block = 0; block < layers * kv_heads; ++block, page += size * head_elements())
      for (std::int64_t s = slot; s < page_positions; ++s) {
        for (std::int64_t d = 0; d < head_dim; ++d)
          __builtin_memset(page + size * key_index(s, d), 0, size);
        __builtin_memset(page + size * value_index(s, 0), 0, size * value_width());
      }
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

// First element of the head block (page, head) of a layer's cache tensor.
template <class E>
KEDGE_INLINE E* kv_head_block(const Tensor& cache, const KvPageLayout& layout, std::int64_t page,
                              std::int64_t head) noexcept {
  return reinterpret_cast<E*>(cache.data) + page * cache.extent[1] + head * layout.head_elements();
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
  if (cache.element != Element::f16 && cache.element != Element::f32)
    return fail(Code::unsupported, op, "cache: expected f16 or f32, found %s",
                to_string(cache.element));
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
