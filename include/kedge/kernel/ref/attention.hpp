// Reference of op/attention.hpp: a plain softmax over all keys.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/core/half.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::Attention> {
  static void run(const op::Attention::Args& a) {
    const KvPageLayout layout = op::Attention::layout(a);
    const std::int64_t group = a.heads / a.kv_heads;
    const auto dims = static_cast<std::size_t>(a.head_dim);
    std::vector<float> out(static_cast<std::size_t>(a.q.width()));
    for (std::int64_t r = 0; r < a.q.rows(); ++r) {
      const std::int64_t keys = a.position.as<std::int32_t>()[r] + 1;
      const auto* pages = a.pages.row<std::int32_t>(a.sequence.as<std::int32_t>()[r]);
      for (std::int64_t h = 0; h < a.heads; ++h) {
        const auto at = [&](std::int64_t page, std::int64_t index) -> double {
          if (a.cache.element == Element::f32)
            return kv_head_block<float>(a.cache, layout, page, h / group)[index];
          return f16_to_f32(kv_head_block<std::uint16_t>(a.cache, layout, page, h / group)[index]);
        };
        const float* q = a.q.row<float>(r) + h * a.head_dim;
        std::vector<double> weight(static_cast<std::size_t>(keys)), o(dims);
        double largest = -HUGE_VAL, sum = 0;
        for (std::int64_t j = 0; j < keys; ++j) {
          double s = 0;
          for (std::int64_t d = 0; d < a.head_dim; ++d)
            s += q[d] * at(pages[j / 64], layout.key_index(j % 64, d));
          s *= double(op::Attention::scale(a));
          weight[static_cast<std::size_t>(j)] = s;
          if (!(s <= largest)) largest = s;  // a NaN too: it reaches every weight
        }
        for (std::int64_t j = 0; j < keys; ++j) {
          double& w = weight[static_cast<std::size_t>(j)];
          w = std::exp(w - largest);
          sum += w;
          for (std::size_t d = 0; d < dims; ++d)
            o[d] += w * at(pages[j / 64], layout.value_index(j % 64, std::int64_t(d)));
        }
        for (std::size_t d = 0; d < dims; ++d)
          out[static_cast<std::size_t>(h) * dims + d] = static_cast<float>(o[d] / sum);
      }
      ref::store_row(out.data(), a.y, r);
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
