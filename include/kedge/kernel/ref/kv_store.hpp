// Reference of op/kv_store.hpp.
#pragma once

#include "kedge/backend/reference.hpp"
#include "kedge/core/half.hpp"
#include "kedge/op/kv_store.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::KvStore> {
  static void run(const op::KvStore::Args& a) {
    const KvPageLayout layout = op::KvStore::layout(a);
    for (std::int64_t r = 0; r < a.k.rows(); ++r) {
      const std::int64_t position = a.position.as<std::int32_t>()[r], slot = position % 64;
      const std::int64_t page =
          a.pages.row<std::int32_t>(a.sequence.as<std::int32_t>()[r])[position / 64];
      const auto put = [&](std::int64_t h, std::int64_t index, float value) {
        if (a.cache.element == Element::f16)
          kv_head_block<std::uint16_t>(a.cache, layout, page, h)[index] = f32_to_f16(value);
        else kv_head_block<float>(a.cache, layout, page, h)[index] = value;
      };
      for (std::int64_t h = 0; h < a.kv_heads; ++h)
        for (std::int64_t d = 0; d < layout.value_width(); ++d) {
          const bool padding = d >= a.head_dim;
          if (!padding) put(h, layout.key_index(slot, d), a.k.row<float>(r)[h * a.head_dim + d]);
          put(h, layout.value_index(slot, d),
              padding ? 0.0f : a.v.row<float>(r)[h * a.head_dim + d]);
        }
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
