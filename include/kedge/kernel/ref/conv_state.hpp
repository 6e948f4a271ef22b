// Reference of op/conv_state.hpp.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/op/conv_state.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::ConvState> {
  static void run(const op::ConvState::Args& a) {
    const std::int64_t taps = a.weight.rows();
    for (std::int32_t n = 0; n < op::recurrent_run_count(a.runs); ++n) {
      const op::RecurrentRun& run = op::recurrent_run(a.runs, n);
      for (std::int32_t r = run.first; r < run.first + run.rows; ++r) {
        std::vector<double> sum(static_cast<std::size_t>(a.x.width()));
        if (!a.bias.empty()) sum.assign(a.bias.as<float>(), a.bias.as<float>() + a.x.width());
        std::int32_t row = r;
        for (std::int64_t t = taps - 1, back = 0; t >= 0; --t) {
          const float* column = nullptr;
          if (row >= 0) {
            column = a.x.row<float>(row);
            row = op::recurrent_step(a.steps, row).parent;
          } else if (back < run.columns) {
            column = a.window.row<float>(op::ring_slot(run.column, -back++, a.window_slots));
          } else {
            break;
          }
          for (std::size_t c = 0; c < sum.size(); ++c)
            sum[c] += double(column[c]) * double(a.weight.row<float>(t)[c]);
        }
        for (std::size_t c = 0; c < sum.size(); ++c)
          a.y.row<float>(r)[c] = static_cast<float>(sum[c] / (1 + std::exp(-sum[c])));
      }
    }
    // After all reading: a column may lie where an older one was.
    for (std::int32_t r = 0; r < a.runs.as<op::RecurrentHeader>()->rows; ++r)
      if (const std::int32_t slot = op::recurrent_step(a.steps, r).column; slot >= 0)
        for (std::int64_t c = 0; c < a.x.width(); ++c)
          a.window.row<float>(slot)[c] = a.x.row<float>(r)[c];
  }
};

}  // namespace kedge::inline KEDGE_ABI
