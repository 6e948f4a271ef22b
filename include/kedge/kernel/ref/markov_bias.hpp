// Reference of op/markov_bias.hpp.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "kedge/op/markov_bias.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::MarkovBias> {
  static void run(const op::MarkovBias::Args& a) {
    const std::int64_t rank = a.e.width();
    std::vector<float> z(static_cast<std::size_t>(rank));
    const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
    for (std::int64_t r = 0; r < a.e.rows(); ++r) {
      const float* p = a.head == op::MarkovBias::vanilla ? nullptr : a.projection.row<float>(r);
      for (std::int64_t i = 0; i < rank; ++i) {
        double value = a.e.row<float>(r)[i];
        if (a.head == op::MarkovBias::gated) value *= sigmoid(p[i]);
        if (a.head == op::MarkovBias::rnn) {
          float& s = a.state.row<float>(r)[i];
          const double g = sigmoid(p[i]);
          s = static_cast<float>(g * s + (1 - g) * std::tanh(double(p[rank + i])));
          value = std::tanh(double(p[2 * rank + i]));
        }
        z[static_cast<std::size_t>(i)] = static_cast<float>(value);
      }
      ref::store_row(z.data(), a.z, r);
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
