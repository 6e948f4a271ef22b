// A recurrent model small enough to see through: two layers of one head of size 1 behind a
// convolution of three channels, written as plain loops over the tables that RecurrentState fills.
// ToyText is the same model over arrays of all its states, without tables, planes or rings.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kedge/op/recurrent_run.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::tests {

constexpr std::int64_t toy_layers = 2, toy_width = 4;
constexpr RecurrentShape toy_shape{.layers = toy_layers,
                                   .key_heads = 1,
                                   .value_heads = 1,
                                   .key_dim = 1,
                                   .value_dim = 1,
                                   .channels = 3,
                                   .conv_width = toy_width};

struct ToyColumn {
  float at[3] = {};
};

inline ToyColumn toy_input(float x, std::int64_t layer) {
  const float l = static_cast<float>(layer + 1);
  return {{std::sin(x * 0.7f + l), std::sin(x * 1.3f + 2 * l), std::sin(x * 2.1f - l)}};
}
// `columns` holds toy_width of them, oldest first.
inline ToyColumn toy_conv(const ToyColumn* columns) {
  ToyColumn y;
  for (int c = 0; c < 3; ++c)
    for (std::int64_t t = 0; t < toy_width; ++t)
      y.at[c] = std::fma(columns[t].at[c], 0.5f + 0.25f * static_cast<float>(t), y.at[c]);
  return y;
}
struct ToyRecord {
  float k, e, delta;
};
inline ToyRecord toy_record(const ToyColumn& qkv, float state) {
  const float e = 0.9f - 0.1f * std::fabs(qkv.at[2]) * 0.5f;
  return {qkv.at[1], e, 0.3f * (qkv.at[2] - e * (state * qkv.at[1]))};
}
inline float toy_apply(float state, const ToyRecord& r) {
  return std::fma(r.k, r.delta, r.e * state);
}

// Everything a text ever was, position by position.
class ToyText {
 public:
  float push(std::int32_t token) {
    float x = static_cast<float>(token);
    for (std::int64_t l = 0; l < toy_layers; ++l) {
      Layer& layer = layers_[l];
      layer.columns.push_back(toy_input(x, l));
      const ToyColumn qkv = toy_conv(&layer.columns[layer.columns.size() - toy_width]);
      const float before = layer.states.empty() ? 0 : layer.states.back();
      layer.states.push_back(toy_apply(before, toy_record(qkv, before)));
      x += 3 * layer.states.back() * qkv.at[0];
    }
    return x;
  }
  void truncate(std::int64_t length) {
    for (Layer& layer : layers_) {
      layer.states.resize(static_cast<std::size_t>(length));
      layer.columns.resize(static_cast<std::size_t>(length + toy_width - 1));
    }
  }
  std::int64_t length() const { return static_cast<std::int64_t>(layers_[0].states.size()); }

 private:
  struct Layer {
    std::vector<ToyColumn> columns = std::vector<ToyColumn>(toy_width - 1);
    std::vector<float> states;
  };
  Layer layers_[toy_layers];
};

// The rows of one sequence in a pass.
struct ToyRows {
  std::int32_t sequence;
  std::int64_t first;
  std::vector<std::int32_t> tokens;
};

class ToyModel {
 public:
  explicit ToyModel(RecurrentState& state) : state_(state) {}

  // Outputs row by row. After `layers` layers the pass stops, as a cancelled one does.
  Result<std::vector<float>> run(const std::vector<ToyRows>& sequences,
                                 std::int64_t layers = toy_layers) {
    std::vector<std::int32_t> positions, numbers;
    std::vector<float> x;
    for (const ToyRows& s : sequences)
      for (std::size_t i = 0; i < s.tokens.size(); ++i) {
        positions.push_back(static_cast<std::int32_t>(s.first) + static_cast<std::int32_t>(i));
        numbers.push_back(s.sequence);
        x.push_back(static_cast<float>(s.tokens[i]));
      }
    const auto rows = static_cast<std::int64_t>(x.size());
    std::vector<std::int32_t> run_memory(12 * (1 + sequences.size())), step_memory(4 * x.size());
    const Tensor runs = tensor(run_memory.data(), Element::i32, 1 + sequences.size(), 12);
    const Tensor steps = tensor(step_memory.data(), Element::i32, rows, 4);
    KEDGE_CHECK(state_.fill(positions.data(), numbers.data(), nullptr, rows, runs, steps));
    op::RecurrentLimits limits{rows,
                               state_.planes(),
                               state_.sequences() * state_.record_slots(),
                               state_.sequences() * state_.window_slots(),
                               state_.record_slots(),
                               state_.window_slots()};
    KEDGE_CHECK(op::check_recurrent_tables("toy", runs, steps, limits));
    for (std::int64_t l = 0; l < layers; ++l)
      for (std::int32_t r = 0; r < op::recurrent_run_count(runs); ++r)
        layer(l, op::recurrent_run(runs, r), steps, x);
    return x;
  }

 private:
  void layer(std::int64_t l, const op::RecurrentRun& run, const Tensor& steps,
             std::vector<float>& x) {
    const Tensor planes = state_.state(l), records = state_.records(l), window = state_.window(l);
    std::vector<ToyColumn> columns(toy_width - 1);
    for (std::int32_t back = 1; back <= run.columns; ++back) {
      const std::int64_t slot = op::ring_slot(run.column, 1 - back, state_.window_slots());
      columns[static_cast<std::size_t>(toy_width - 1 - back)] = *window.row<ToyColumn>(slot);
    }
    float s = run.plane < 0 ? 0 : *planes.row<float>(run.plane);
    for (std::int32_t i = 0; i < run.replay; ++i)
      s = toy_apply(s,
                    *records.row<ToyRecord>(op::ring_slot(run.record, i, state_.record_slots())));
    std::vector<float> states;
    const auto keep_base = [&](std::int32_t done) {
      if (run.base_plane >= 0 && run.base_after == done) *planes.row<float>(run.base_plane) = s;
    };
    keep_base(0);
    for (std::int32_t i = 0; i < run.rows; ++i) {
      const op::RecurrentStep& step = op::recurrent_step(steps, run.first + i);
      float& value = x[static_cast<std::size_t>(run.first + i)];
      columns.push_back(toy_input(value, l));
      const ToyColumn qkv = toy_conv(&columns[columns.size() - toy_width]);
      const ToyRecord record = toy_record(qkv, s);
      s = toy_apply(s, record);
      value += 3 * s * qkv.at[0];
      if (step.plane >= 0) *planes.row<float>(step.plane) = s;
      if (step.record >= 0) *records.row<ToyRecord>(step.record) = record;
      keep_base(i + 1);
    }
    for (std::int32_t i = 0; i < run.rows; ++i) {
      const std::int32_t slot = op::recurrent_step(steps, run.first + i).column;
      if (slot >= 0)
        *window.row<ToyColumn>(slot) = columns[static_cast<std::size_t>(toy_width - 1 + i)];
    }
  }

  RecurrentState& state_;
};

// NaN wherever nothing is kept: reading what was undone would show.
inline void poison_unused(RecurrentState& state) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::int64_t l = 0; l < state.shape().layers; ++l) {
    const auto poison = [](const Tensor& t, std::int64_t row) {
      for (std::int64_t i = 0; i < t.width(); ++i) t.row<float>(row)[i] = nan;
    };
    for (std::int32_t p = 0; p < state.planes(); ++p)
      if (!state.plane_in_use(p)) poison(state.state(l), p);
    for (std::int64_t s = 0; s < state.sequences(); ++s) {
      const auto number = static_cast<std::int32_t>(s);
      for (std::int64_t i = s * state.window_slots(); i < (s + 1) * state.window_slots(); ++i)
        if (!state.column_in_use(number, i)) poison(state.window(l), i);
      for (std::int64_t i = s * state.record_slots(); i < (s + 1) * state.record_slots(); ++i)
        if (!state.record_in_use(number, i)) poison(state.records(l), i);
    }
  }
}

}  // namespace kedge::tests
