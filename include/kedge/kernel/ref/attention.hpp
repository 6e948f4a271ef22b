// Reference of op/attention.hpp: a plain softmax over all keys.
#pragma once

#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI {

// What a cache holds, as numbers: each page and head is read once, however many rows and heads see
// it.
class StoredPages {
 public:
  StoredPages(const Tensor& cache, const KvPageLayout& layout, std::int64_t head_dim)
      : cache_(cache), layout_(layout), head_dim_(head_dim) {}
  // head_dim keys, or values, of a slot of 64.
  const float* slot(std::int64_t page, std::int64_t kv_head, std::int64_t slot, bool key) {
    std::vector<float>& block = blocks_[{page, kv_head}];
    if (block.empty()) {
      block.resize(static_cast<std::size_t>(2 * 64 * head_dim_));
      auto at = block.begin();
      for (const bool is_key : {true, false})
        for (std::int64_t s = 0; s < 64; ++s)
          for (std::int64_t d = 0; d < head_dim_; ++d)
            *at++ = kv_stored(cache_, layout_, page, kv_head, s, d, is_key);
    }
    return block.data() + ((key ? 0 : 64) + slot) * head_dim_;
  }

 private:
  const Tensor& cache_;
  const KvPageLayout& layout_;
  std::int64_t head_dim_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>> blocks_;
};

template <class Mask>
struct ReferenceAttention {
  static void run(const op::Attention::Args& a) {
    const KvPageLayout layout = op::Attention::layout(a);
    const std::int64_t group = a.heads / a.kv_heads;
    const auto dims = static_cast<std::size_t>(a.head_dim);
    std::vector<float> out(static_cast<std::size_t>(a.q.width()));
    StoredPages stored(a.cache, layout, a.head_dim);
    for (std::int64_t r = 0; r < a.q.rows(); ++r) {
      const std::int64_t keys = a.position.as<std::int32_t>()[r] + 1;
      const auto* pages = a.pages.row<std::int32_t>(a.sequence.as<std::int32_t>()[r]);
      // Where the row's positions are stored: ancestors in a tree have other slots.
      std::vector<std::int64_t> slots(static_cast<std::size_t>(keys));
      std::iota(slots.begin(), slots.end(), 0);
      if (!a.parent.empty())
        for (std::int64_t p = r; p >= 0; p = a.parent.as<std::int32_t>()[p])
          slots[static_cast<std::size_t>(a.position.as<std::int32_t>()[p])] =
              a.slot.as<std::int32_t>()[p];
      for (std::int64_t h = 0; h < a.heads; ++h) {
        const auto at = [&](std::int64_t j, bool key) {
          const std::int64_t s = slots[static_cast<std::size_t>(j)];
          return stored.slot(pages[s / 64], h / group, s % 64, key);
        };
        const float* q = a.q.row<float>(r) + h * a.head_dim;
        std::vector<double> weight(static_cast<std::size_t>(keys)), o(dims);
        double largest = -HUGE_VAL, sum = 0;
        const auto sees = [&](std::int64_t j) {
          return j + 1 == keys || op::mask_sees<Mask>(a, r, keys - 1, j);
        };
        for (std::int64_t j = 0; j < keys; ++j) {
          if (!sees(j)) continue;
          double s = 0;
          const float* k = at(j, true);
          for (std::size_t d = 0; d < dims; ++d) s += q[d] * double(k[d]);
          s *= double(op::Attention::scale(a));
          weight[static_cast<std::size_t>(j)] = s;
          if (!(s <= largest)) largest = s;  // a NaN too: it reaches every weight
        }
        for (std::int64_t j = 0; j < keys; ++j) {
          if (!sees(j)) continue;
          double& w = weight[static_cast<std::size_t>(j)];
          w = std::exp(w - largest);
          sum += w;
          const float* v = at(j, false);
          for (std::size_t d = 0; d < dims; ++d) o[d] += w * double(v[d]);
        }
        for (std::size_t d = 0; d < dims; ++d)
          out[static_cast<std::size_t>(h) * dims + d] = static_cast<float>(o[d] / sum);
      }
      ref::store_row(out.data(), a.y, r);
    }
  }
};
template <>
struct Kernel<Reference, op::Attention> : ReferenceAttention<op::mask::Causal> {};
template <class Mask>
struct Kernel<Reference, op::MaskedAttention<Mask>> : ReferenceAttention<Mask> {};

}  // namespace kedge::inline KEDGE_ABI
