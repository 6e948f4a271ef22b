// Reference of op/rope.hpp.
#pragma once

#include "kedge/backend/reference.hpp"
#include "kedge/op/rope.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::Rope> {
  static void run(const op::Rope::Args& a) {
    const std::int64_t half = op::Rope::rotary_dims(a) / 2;
    for (std::int64_t r = 0; r < a.x.rows(); ++r) {
      const std::int32_t* position =
          a.position.as<std::int32_t>() + r * (op::Rope::sectioned(a) ? 3 : 1);
      for (std::int64_t h = 0; h < a.x.width(); h += a.head_dim) {
        const float* x = a.x.row<float>(r) + h;
        float* y = a.y.row<float>(r) + h;
        for (std::int64_t i = 0; i < half; ++i) {
          const std::int64_t first = a.interleaved ? 2 * i : i;
          const std::int64_t second = a.interleaved ? 2 * i + 1 : i + half;
          const double x0 = x[first], x1 = x[second];
          const float* cosine =
              a.table.row<float>(position[op::Rope::stream(a, static_cast<std::int32_t>(i))]);
          const double c = cosine[i], s = cosine[half + i];
          y[first] = static_cast<float>(x0 * c - x1 * s);
          y[second] = static_cast<float>(x1 * c + x0 * s);
        }
        for (std::int64_t i = 2 * half; i < a.head_dim; ++i) y[i] = x[i];
      }
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
