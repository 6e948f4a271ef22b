// kv_store: writes the keys and values of a call's rows into the pages of their sequences. Row r
// goes to slot position[r] % 64 of page pages[sequence[r]][position[r] / 64]. F16 and BF16 caches
// round to nearest even; Q8_0 ones round each 32 values of a head as quantize_rows does, and then
// the scale to F16. No two rows of a call may share sequence and position. Layout:
// state/kv_page.hpp.
#pragma once

#include "kedge/op/op.hpp"
#include "kedge/state/kv_page.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct KvStore {
  static constexpr const char* name = "kv_store";

  struct Args {
    Tensor k, v, position, sequence, pages, cache;
    std::int32_t kv_heads = 0;
    std::int32_t head_dim = 0;
  };

  static KEDGE_INLINE constexpr KvPageLayout layout(const Args& a) noexcept {
    return {a.cache.element, a.kv_heads, a.head_dim, 1};
  }
  static std::size_t cache_bytes(const Args& a) noexcept {
    return ::kedge::cache_bytes(a.cache, layout(a));
  }

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("k", &Args::k, Role::input, "[rows, kv_heads * head_dim] f32");
    v.tensor("v", &Args::v, Role::input, "[rows, kv_heads * head_dim] f32");
    v.tensor("position", &Args::position, Role::input, "[rows] i32, absolute position");
    v.tensor("sequence", &Args::sequence, Role::input, "[rows] i32, row of `pages`");
    v.tensor("pages", &Args::pages, Role::input,
             "[sequences, max_pages] i32, physical page of positions 64 i .. 64 i + 63");
    v.tensor("cache", &Args::cache, Role::state,
             "[pages, distance between pages] f32, f16, bf16 or q8_0, data at the layer's part of "
             "page 0");
    v.setting("kv_heads", &Args::kv_heads, "key/value heads");
    v.setting("head_dim", &Args::head_dim, "values per head, a multiple of 4 up to 256");
  }

  static Status infer(Args&) noexcept { return {}; }

  static Status check(const Args& a) noexcept {
    KEDGE_CHECK(expect_cache(name, a.cache, a.kv_heads, a.head_dim));
    const std::int64_t rows = a.k.rows(), width = std::int64_t{a.kv_heads} * a.head_dim;
    KEDGE_CHECK(expect_shape(name, "k", a.k, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "v", a.v, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "position", a.position, Element::i32, 1, rows));
    KEDGE_CHECK(expect_shape(name, "sequence", a.sequence, Element::i32, 1, rows));
    return expect_shape(name, "pages", a.pages, Element::i32, a.pages.rows(), a.pages.width());
  }

  static Cost cost(const Args& a) noexcept {
    const auto values = static_cast<double>(2 * a.k.rows() * a.k.width());
    const ElementTraits stored = traits(a.cache.element);
    return {values * (4.0 + double(stored.bytes) / stored.block), 0};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
