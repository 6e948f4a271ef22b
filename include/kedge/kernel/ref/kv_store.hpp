// Reference of op/kv_store.hpp.
#pragma once

#include "kedge/backend/reference.hpp"
#include "kedge/core/half.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
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
        if (a.cache.element == Element::f32)
          kv_head_block<float>(a.cache, layout, page, h)[index] = value;
        else
          kv_head_block<std::uint16_t>(a.cache, layout, page, h)[index] =
              a.cache.element == Element::f16 ? f32_to_f16(value) : f32_to_bf16(value);
      };
      if (a.cache.element == Element::q8_0) {
        for (std::int64_t h = 0; h < a.kv_heads; ++h)
          put_q8(a, q8_head_block(a.cache, layout, page, h), r, h, slot);
        continue;
      }
      for (std::int64_t h = 0; h < a.kv_heads; ++h)
        for (std::int64_t d = 0; d < layout.value_width(); ++d) {
          const bool padding = d >= a.head_dim;
          if (!padding) put(h, layout.key_index(slot, d), a.k.row<float>(r)[h * a.head_dim + d]);
          put(h, layout.value_index(slot, d),
              padding ? 0.0f : a.v.row<float>(r)[h * a.head_dim + d]);
        }
    }
  }

 private:
  static void put_q8(const op::KvStore::Args& a, const Q8HeadBlock& to, std::int64_t row,
                     std::int64_t head, std::int64_t slot) {
    for (std::int64_t b = 0; b < a.head_dim / 32; ++b) {
      BlockQ8Act k, v;
      ref::round_block(a.k.row<float>(row) + head * a.head_dim + b * 32, k);
      ref::round_block(a.v.row<float>(row) + head * a.head_dim + b * 32, v);
      to.key_scales[b * 64 + slot] = f32_to_f16(k.d);
      to.value_scales[slot * (a.head_dim / 32) + b] = f32_to_f16(v.d);
      for (std::int64_t d = 0; d < 32; ++d) {
        to.keys[(b * 32 + d) * 64 + slot] = k.q[d];
        to.values[slot * a.head_dim + b * 32 + d] = v.q[d];
      }
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
