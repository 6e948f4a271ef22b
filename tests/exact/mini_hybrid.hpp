// A recurrent model of operators alone: per layer conv_state and gated_delta on the CPU, and what
// joins them as plain loops over one row, so that rows can depend on one another through the
// recurrent state only. Its greedy text wanders.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/conv_state.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "kedge/state/recurrent_state.hpp"

namespace kedge::tests {

class MiniHybrid {
 public:
  static constexpr std::int64_t layers = 2, width = 12, vocabulary = 23;

  MiniHybrid(cpu::Isa isa, bool channel_decay)
      : cpu_(*Cpu::create({isa, nullptr})),
        shape_{.layers = layers,
               .key_heads = 1,
               .value_heads = 2,
               .key_dim = 8,
               .value_dim = 20,
               .channel_decay = channel_decay,
               .grouped = true,
               .channels = 2 * 8 + 2 * 20,
               .conv_width = 4} {
    std::mt19937_64 rng(7);
    const auto fill = [&](std::vector<float>& w, std::int64_t count, float scale) {
      w.resize(static_cast<std::size_t>(count));
      for (float& x : w) x = scale * (static_cast<float>(rng() % 2001) / 1000.0f - 1.0f);
    };
    fill(embedding_, vocabulary * width, 1.0f);
    fill(head_, vocabulary * width, 1.0f);
    for (Layer& l : layer_) {
      fill(l.raw, shape_.channels * width, 0.6f);
      fill(l.decay, decays() * width, 0.2f);
      fill(l.beta, 2 * width, 0.5f);
      fill(l.conv, 4 * shape_.channels, 0.7f);
      fill(l.output, width * 40, 1.5f);
    }
  }

  const RecurrentShape& shape() const { return shape_; }

  // Logits of rows first .. of one sequence, whose pass is open. After `stop` operators the pass
  // ends, as a cancelled one does.
  Result<std::vector<float>> run(const RecurrentState& state, std::int32_t sequence,
                                 std::int64_t first, const std::vector<std::int32_t>& tokens,
                                 int stop = 2 * layers) const {
    const auto rows = static_cast<std::int64_t>(tokens.size());
    std::vector<std::int32_t> positions, numbers(tokens.size(), sequence);
    std::vector<float> h;
    for (std::int64_t r = 0; r < rows; ++r) {
      positions.push_back(static_cast<std::int32_t>(first + r));
      const float* e = &embedding_[static_cast<std::size_t>(tokens[static_cast<std::size_t>(r)] *
                                                            std::int32_t{width})];
      h.insert(h.end(), e, e + width);
    }
    std::vector<std::int32_t> run_memory(24), step_memory(4 * tokens.size());
    const Tensor runs = tensor(run_memory.data(), Element::i32, 2, 12);
    const Tensor steps = tensor(step_memory.data(), Element::i32, rows, 4);
    KEDGE_CHECK(state.fill(positions.data(), numbers.data(), nullptr, rows, runs, steps));
    for (std::int64_t l = 0; l < layers; ++l) {
      const Layer& w = layer_[l];
      std::vector<float> raw = product(w.raw, h), decay = product(w.decay, h),
                         beta = product(w.beta, h);
      for (float& x : decay) x = -std::fabs(x);
      for (float& x : beta) x = 0.5f + 0.5f * x / (1.0f + std::fabs(x));
      std::vector<float> x(raw.size()), y(static_cast<std::size_t>(rows * 40));
      op::ConvState::Args conv;
      conv.x = tensor(raw.data(), Element::f32, rows, shape_.channels);
      conv.weight = tensor(w.conv.data(), Element::f32, 4, shape_.channels);
      conv.runs = runs;
      conv.steps = steps;
      conv.window = state.window(l);
      conv.window_slots = static_cast<std::int32_t>(state.window_slots());
      conv.y = tensor(x.data(), Element::f32, rows, shape_.channels);
      KEDGE_CHECK(op::ConvState::check_tables(conv, rows));
      if (stop-- == 0) return std::vector<float>();
      KEDGE_CHECK(cpu_.run<op::ConvState>(conv, rows));

      op::GatedDelta::Args delta;
      delta.x = conv.y;
      delta.decay = tensor(decay.data(), Element::f32, rows, decays());
      delta.beta = tensor(beta.data(), Element::f32, rows, 2);
      delta.runs = runs;
      delta.steps = steps;
      delta.state = state.state(l);
      delta.records = state.records(l);
      delta.y = tensor(y.data(), Element::f32, rows, 40);
      delta.key_heads = 1;
      delta.value_heads = 2;
      delta.key_dim = 8;
      delta.value_dim = 20;
      delta.record_slots = static_cast<std::int32_t>(state.record_slots());
      delta.grouped = shape_.grouped;
      std::vector<float> scratch(
          static_cast<std::size_t>(rows * op::GatedDelta::scratch_width(delta)));
      delta.scratch =
          tensor(scratch.data(), Element::f32, rows, op::GatedDelta::scratch_width(delta));
      KEDGE_CHECK(op::GatedDelta::check_tables(delta, rows));
      if (stop-- == 0) return std::vector<float>();
      KEDGE_CHECK(cpu_.run<op::GatedDelta>(delta, rows));
      const std::vector<float> back = product(w.output, y, 40);
      for (std::size_t i = 0; i < h.size(); ++i) h[i] = 0.5f * h[i] + back[i];
    }
    return product(head_, h);
  }

  static std::int32_t largest(const float* logits) {
    return static_cast<std::int32_t>(std::max_element(logits, logits + vocabulary) - logits);
  }

 private:
  struct Layer {
    std::vector<float> raw, decay, beta, conv, output;
  };
  std::int64_t decays() const { return shape_.channel_decay ? 16 : 2; }
  // Row by row: [rows, outputs] of weights [outputs, inputs].
  static std::vector<float> product(const std::vector<float>& w, const std::vector<float>& x,
                                    std::size_t inputs = width) {
    std::vector<float> y;
    for (std::size_t r = 0; r < x.size(); r += inputs)
      for (std::size_t o = 0; o < w.size(); o += inputs) {
        float sum = 0;
        for (std::size_t i = 0; i < inputs; ++i) sum = std::fma(w[o + i], x[r + i], sum);
        y.push_back(sum);
      }
    return y;
  }

  Cpu cpu_;
  RecurrentShape shape_;
  std::vector<float> embedding_, head_;
  Layer layer_[layers];
};

}  // namespace kedge::tests
