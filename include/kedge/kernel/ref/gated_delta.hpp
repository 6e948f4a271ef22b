// Reference of op/gated_delta.hpp: head by head, with the state after each row of a run in double.
#pragma once

#include <cmath>
#include <vector>

#include "kedge/backend/reference.hpp"
#include "kedge/op/gated_delta.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Reference, op::GatedDelta> {
  using Op = op::GatedDelta;
  using Args = Op::Args;
  using Values = std::vector<double>;  // a state is [key_dim][value_dim]

  static void run(const Args& a) {
    for (std::int32_t n = 0; n < op::recurrent_run_count(a.runs); ++n)
      for (std::int64_t h = 0; h < a.value_heads; ++h) run_head(a, op::recurrent_run(a.runs, n), h);
  }

 private:
  static Values normal(const Args& a, const float* x, double factor) {
    double sum = 0;
    for (std::int64_t i = 0; i < a.key_dim; ++i) sum += double(x[i]) * x[i];
    const double eps = double(a.l2_eps);
    factor /= a.l2_max ? std::fmax(std::sqrt(sum), eps) : std::sqrt(sum + eps);
    Values result(x, x + a.key_dim);
    for (double& value : result) value *= factor;
    return result;
  }
  static float* plane(const Args& a, std::int32_t index, std::int64_t h) {
    return a.state.row<float>(index) + h * Op::head_state(a);
  }
  static void write(const Args& a, const Values& s, float* plane) {
    const op::DeltaLayout layout{a.key_dim, a.value_dim};
    for (std::int64_t at = 0; at < layout.key_dim * layout.value_dim; ++at)
      plane[layout.index(at / a.value_dim, at % a.value_dim)] =
          static_cast<float>(s[static_cast<std::size_t>(at)]);
  }
  // S = e S + k delta^T
  static void update(Values& s, const Values& e, const Values& k, const Values& delta) {
    for (std::size_t at = 0; at < s.size(); ++at)
      s[at] = e[at / delta.size()] * s[at] + k[at / delta.size()] * delta[at % delta.size()];
  }
  static Values decays(const Args& a, const float* first, std::int64_t h, bool exponent) {
    Values e;
    for (std::int64_t i = 0; i < a.key_dim; ++i) {
      const double g = double(Op::channel_decay(a) ? first[h * a.key_dim + i] : first[h]);
      e.push_back(exponent ? std::exp(g) : g);
    }
    return e;
  }

  static void run_head(const Args& a, const op::RecurrentRun& run, std::int64_t h) {
    const op::DeltaLayout layout{a.key_dim, a.value_dim};
    const std::int64_t at_key = Op::key_head(a, h) * a.key_dim, at_value = h * a.value_dim;
    Values in(static_cast<std::size_t>(Op::head_state(a)));
    if (run.plane >= 0)
      for (std::int64_t at = 0; at < Op::head_state(a); ++at)
        in[static_cast<std::size_t>(at)] =
            double(plane(a, run.plane, h)[layout.index(at / a.value_dim, at % a.value_dim)]);
    for (std::int64_t s = 0; s < run.replay; ++s) {
      const float* k = a.records.row<float>(op::ring_slot(run.record, s, a.record_slots));
      const float *e = k + Op::keys(a), *delta = e + a.decay.width() + at_value;
      update(in, decays(a, e, h, false), Values(k + at_key, k + at_key + a.key_dim),
             Values(delta, delta + a.value_dim));
    }
    if (run.base_plane >= 0 && run.base_after == 0) write(a, in, plane(a, run.base_plane, h));
    std::vector<Values> after;
    for (std::int32_t r = run.first; r < run.first + run.rows; ++r) {
      const op::RecurrentStep& step = op::recurrent_step(a.steps, r);
      const float *x = a.x.row<float>(r), *v = x + 2 * Op::keys(a) + at_value;
      const Values q = normal(a, x + at_key, 1 / std::sqrt(double(a.key_dim)));
      const Values k = normal(a, x + Op::keys(a) + at_key, 1);
      const Values e = decays(a, a.decay.row<float>(r), h, true);
      Values s = step.parent < 0 ? in : after[static_cast<std::size_t>(step.parent - run.first)];
      Values delta(v, v + a.value_dim), y(delta.size());
      for (std::size_t at = 0; at < s.size(); ++at)
        delta[at % y.size()] -= e[at / y.size()] * s[at] * k[at / y.size()];
      for (double& value : delta) value *= double(a.beta.row<float>(r)[h]);
      update(s, e, k, delta);
      for (std::size_t at = 0; at < s.size(); ++at) y[at % y.size()] += s[at] * q[at / y.size()];
      for (std::size_t j = 0; j < y.size(); ++j)
        (a.y.row<float>(r) + at_value)[j] = static_cast<float>(y[j]);
      if (step.plane >= 0) write(a, s, plane(a, step.plane, h));
      if (run.base_plane >= 0 && run.base_after == r - run.first + 1)
        write(a, s, plane(a, run.base_plane, h));
      if (step.record >= 0) {
        float* record = a.records.row<float>(step.record);
        const std::int64_t at_e = Op::channel_decay(a) ? h * a.key_dim : h;
        for (std::size_t i = 0; i < k.size(); ++i) record[at_key + std::int64_t(i)] = float(k[i]);
        record += Op::keys(a);
        for (std::size_t i = 0; i < (Op::channel_decay(a) ? e.size() : 1); ++i)
          record[at_e + std::int64_t(i)] = float(e[i]);
        record += a.decay.width() + at_value;
        for (std::size_t j = 0; j < y.size(); ++j) record[j] = float(delta[j]);
      }
      after.push_back(std::move(s));
    }
  }
};

}  // namespace kedge::inline KEDGE_ABI
