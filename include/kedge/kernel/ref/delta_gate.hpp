// Reference of op/delta_gate.hpp.
#pragma once

#include <cmath>

#include "kedge/backend/reference.hpp"
#include "kedge/op/delta_gate.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::DeltaGate> {
  static void run(const op::DeltaGate::Args& a) {
    const std::int64_t heads = a.b.width(), channels = a.a.width() / heads;
    for (std::int64_t r = 0; r < a.a.rows(); ++r) {
      for (std::int64_t i = 0; i < a.a.width(); ++i) {
        const double x = double(a.a.row<float>(r)[i]) + double(a.dt_bias.as<float>()[i]);
        const double scale = a.a_scale.as<float>()[i / channels];
        const double softplus = x > 30 ? x : std::log1p(std::exp(x));
        a.decay.row<float>(r)[i] =
            static_cast<float>(a.lower_bound < 0 ? double(a.lower_bound) / (1 + std::exp(scale * x))
                                                 : scale * softplus);
      }
      for (std::int64_t h = 0; h < heads; ++h)
        a.beta.row<float>(r)[h] =
            static_cast<float>(1 / (1 + std::exp(-double(a.b.row<float>(r)[h]))));
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
