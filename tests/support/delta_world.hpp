// A small world for tests of gated_delta: a text of random rows, whose row p depends on p alone, so
// that any rows may run in any pass; memory for planes and records; and the truth in double.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kedge/core/buffer.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "support/tested_backend.hpp"

namespace kedge::tests {

enum class Gate { near_zero, near_minus_20, wide };

struct DeltaShape {
  std::int32_t key_heads, value_heads, key_dim, value_dim;
  bool channel = false, grouped = false, l2_max = false;
  Gate gate = Gate::near_zero;
  bool zero_key = false;  // key head 0 of every third row is zeros

  std::string text() const {
    return std::to_string(key_heads) + "/" + std::to_string(value_heads) + " heads of " +
           std::to_string(key_dim) + "x" + std::to_string(value_dim) +
           (channel ? " per channel" : "") + (grouped ? " grouped" : "") +
           (l2_max ? " max norm" : "") + " gate " + std::to_string(static_cast<int>(gate)) +
           (zero_key ? " zero key" : "");
  }
};

class DeltaWorld {
 public:
  using Op = op::GatedDelta;

  DeltaWorld(DeltaShape shape, std::int64_t positions, std::uint64_t seed)
      : shape_(shape), positions_(positions) {
    a_.key_heads = shape.key_heads;
    a_.value_heads = shape.value_heads;
    a_.key_dim = shape.key_dim;
    a_.value_dim = shape.value_dim;
    a_.grouped = shape.grouped;
    a_.l2_max = shape.l2_max;
    a_.decay =
        tensor(nullptr, Element::f32, 1, shape.value_heads * (shape.channel ? shape.key_dim : 1));
    x_width_ = 2 * Op::keys(a_) + Op::values(a_);
    decay_width_ = a_.decay.width();
    std::mt19937_64 rng(seed);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> unit(0.0f, 1.0f);
    x_.resize(static_cast<std::size_t>(positions * x_width_));
    for (float& value : x_) value = normal(rng);
    if (shape.zero_key)
      for (std::int64_t p = 0; p < positions; p += 3)
        for (std::int64_t i = 0; i < shape.key_dim; ++i)
          x_[static_cast<std::size_t>(p * x_width_ + Op::keys(a_) + i)] = 0;
    decay_.resize(static_cast<std::size_t>(positions * decay_width_));
    for (float& g : decay_) {
      const float u = unit(rng);
      g = shape.gate == Gate::near_zero       ? -1e-3f * u
          : shape.gate == Gate::near_minus_20 ? -19.5f - u
                                              : -std::exp2(30 * u - 25);  // 3e-8 to 32
    }
    beta_.resize(static_cast<std::size_t>(positions * shape.value_heads));
    for (float& beta : beta_) beta = unit(rng);
  }

  const Op::Args& settings() const { return a_; }
  std::int64_t positions() const { return positions_; }
  std::int64_t state_values() const { return a_.value_heads * Op::head_state(a_); }
  std::vector<float>& x() { return x_; }
  std::vector<float>& decay() { return decay_; }
  std::vector<float>& beta() { return beta_; }

  // The truth of one head: y and the state after each position, in double, each with the sum of the
  // magnitudes that were added to make it. What a state is made of is what its predecessors were
  // made of, decayed, and k delta; delta's terms are v and the products that are subtracted.
  struct Truth {
    std::vector<std::vector<double>> y, y_terms, state, state_terms;
  };
  Truth truth(std::int64_t head, std::int64_t rows) const {
    const auto keys = static_cast<std::size_t>(a_.key_dim),
               values = static_cast<std::size_t>(a_.value_dim);
    const auto key_at = static_cast<std::size_t>(Op::key_head(a_, head)) * keys;
    Truth t;
    std::vector<double> s(keys * values), m(keys * values);
    for (std::int64_t p = 0; p < rows; ++p) {
      const float* x = x_.data() + p * x_width_;
      const std::vector<double> q = normal(x + key_at, 1 / std::sqrt(double(a_.key_dim)));
      const std::vector<double> k = normal(x + Op::keys(a_) + key_at, 1);
      const float* v = x + 2 * Op::keys(a_) + head * a_.value_dim;
      const double beta = double(beta_[static_cast<std::size_t>(p * a_.value_heads + head)]);
      std::vector<double> y(values), y_terms(values);
      for (std::size_t j = 0; j < values; ++j) {
        double sum = double(v[j]), terms = std::fabs(sum);
        const auto e = [&](std::size_t i) {
          const std::int64_t at = shape_.channel ? head * a_.key_dim + std::int64_t(i) : head;
          return std::exp(double(decay_[static_cast<std::size_t>(p * decay_width_ + at)]));
        };
        for (std::size_t i = 0; i < keys; ++i) {
          const double part = e(i) * s[i * values + j] * k[i];
          sum -= part;
          terms += std::fabs(part);
        }
        for (std::size_t i = 0; i < keys; ++i) {
          double &state = s[i * values + j], &made = m[i * values + j];
          state = e(i) * state + k[i] * beta * sum;
          made = e(i) * made + std::fabs(k[i]) * beta * terms;
          y[j] += state * q[i];
          y_terms[j] += made * std::fabs(q[i]);
        }
      }
      t.y.push_back(y);
      t.y_terms.push_back(y_terms);
      t.state.push_back(s);
      t.state_terms.push_back(m);
    }
    return t;
  }

  // Planes and records of one sequence, full of NaN where nothing was written.
  struct Memory {
    Memory(const DeltaWorld& world, std::int64_t planes, std::int32_t slots = 0)
        : state_(*Buffer::create(static_cast<std::size_t>(planes * world.state_values()) * 4,
                                 "state")),
          records_(*Buffer::create(
              static_cast<std::size_t>(slots * Op::record_width(world.settings())) * 4 + 4,
              "records")),
          state(tensor(state_.data(), Element::f32, planes, world.state_values())),
          record_slots(slots) {
      std::memset(state_.data(), 0xFF, state_.size());
      std::memset(records_.data(), 0xFF, records_.size());
      if (slots > 0)
        records = tensor(records_.data(), Element::f32, slots, Op::record_width(world.settings()));
    }
    std::vector<float> plane(std::int64_t index) const {
      const float* first = state.row<float>(index);
      return {first, first + state.width()};
    }
    Buffer state_, records_;
    Tensor state, records;
    std::int32_t record_slots;
  };

  // One pass over rows at `at`; `edit(run, steps)` says what is read and kept. Returns y.
  template <class Edit>
  std::vector<float> pass(const Tested& cpu, Memory& memory, const std::vector<std::int64_t>& at,
                          Edit edit) const {
    Op::Args a = a_;
    const auto rows = static_cast<std::int64_t>(at.size());
    std::vector<float> x, decay, beta;
    for (const std::int64_t p : at) {
      x.insert(x.end(), x_.begin() + p * x_width_, x_.begin() + (p + 1) * x_width_);
      decay.insert(decay.end(), decay_.begin() + p * decay_width_,
                   decay_.begin() + (p + 1) * decay_width_);
      beta.insert(beta.end(), beta_.begin() + p * a_.value_heads,
                  beta_.begin() + (p + 1) * a_.value_heads);
    }
    std::vector<std::int32_t> runs(24), steps(static_cast<std::size_t>(4 * rows));
    a.x = tensor(x.data(), Element::f32, rows, x_width_);
    a.decay = tensor(decay.data(), Element::f32, rows, decay_width_);
    a.beta = tensor(beta.data(), Element::f32, rows, a_.value_heads);
    a.runs = tensor(runs.data(), Element::i32, 2, 12);
    a.steps = tensor(steps.data(), Element::i32, rows, 4);
    a.state = memory.state;
    a.records = memory.records;
    a.record_slots = memory.record_slots;
    std::vector<float> y(static_cast<std::size_t>(rows * Op::values(a)), NAN);
    std::vector<float> scratch(static_cast<std::size_t>(rows * Op::scratch_width(a)), NAN);
    a.y = tensor(y.data(), Element::f32, rows, Op::values(a));
    a.scratch = tensor(scratch.data(), Element::f32, rows, Op::scratch_width(a));
    op::begin_recurrent_runs(a.runs);
    op::RecurrentRun run;
    run.rows = static_cast<std::int32_t>(rows);
    const Status added = op::add_recurrent_run(a.runs, a.steps, run);
    EXPECT_TRUE(added) << added.error().reason;
    edit(op::recurrent_run(a.runs, 0), a.steps);
    const Status legal = Op::check_tables(a, rows);
    EXPECT_TRUE(legal) << legal.error().reason;
    const Status ran = cpu.run<Op>(a, rows);
    EXPECT_TRUE(ran) << ran.error().reason;
    return y;
  }

  static std::vector<std::int64_t> range(std::int64_t first, std::int64_t last) {
    std::vector<std::int64_t> list;
    for (std::int64_t p = first; p < last; ++p) list.push_back(p);
    return list;
  }

 private:
  std::vector<double> normal(const float* x, double factor) const {
    double sum = 0;
    for (std::int32_t i = 0; i < a_.key_dim; ++i) sum += double(x[i]) * x[i];
    const double eps = double(a_.l2_eps);
    std::vector<double> result(x, x + a_.key_dim);
    for (double& value : result)
      value *= factor / (a_.l2_max ? std::fmax(std::sqrt(sum), eps) : std::sqrt(sum + eps));
    return result;
  }

  DeltaShape shape_;
  std::int64_t positions_, x_width_ = 0, decay_width_ = 0;
  Op::Args a_;
  std::vector<float> x_, decay_, beta_;
};

}  // namespace kedge::tests
