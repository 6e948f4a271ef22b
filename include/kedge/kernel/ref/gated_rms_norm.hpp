// Reference of op/gated_rms_norm.hpp.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/gated_rms_norm.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::GatedRmsNorm> {
  static void run(const op::GatedRmsNorm::Args& a) {
    const std::int64_t width = a.x.width(), dim = a.weight.width();
    std::vector<float> out(static_cast<std::size_t>(width));
    for (std::int64_t r = 0; r < a.x.rows(); ++r) {
      for (std::int64_t first = 0; first < width; first += dim) {
        const float *x = a.x.row<float>(r) + first, *z = a.z.row<float>(r) + first;
        double sum = 0;
        for (std::int64_t i = 0; i < dim; ++i) sum += double(x[i]) * x[i];
        const double scale = 1.0 / std::sqrt(sum / static_cast<double>(dim) + double(a.eps));
        for (std::int64_t i = 0; i < dim; ++i) {
          const double gate = (a.sigmoid ? 1.0 : double(z[i])) / (1 + std::exp(-double(z[i])));
          out[static_cast<std::size_t>(first + i)] =
              static_cast<float>(x[i] * scale * double(a.weight.as<float>()[i]) * gate);
        }
      }
      ref::store_row(out.data(), a.y, r);
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
