#pragma once

#include "cases/case.hpp"
#include "kedge/op/conv_state.hpp"

namespace kedge::cases {

struct ConvShape {
  const char* name;
  int channels, taps, columns;  // columns: how many before the first row are real
  bool bias = false, tree = false;
};

inline op::ConvState::Args conv_args(Workspace& w, const ConvShape& s, std::int64_t rows,
                                     std::int64_t most = 64) {
  op::ConvState::Args a;
  a.x = w.random(1, 1.0f, rows, s.channels);
  a.weight = w.random(2, 0.5f, s.taps, s.channels);
  if (s.bias) a.bias = w.random(3, 0.5f, s.channels);
  a.window_slots = static_cast<std::int32_t>(s.taps - 1 + most);
  // The second of two sequences; its newest column is the ring's second, so that reading wraps.
  a.window = w.random(4, 1.0f, 2 * a.window_slots, s.channels);
  a.runs = w.make(Element::i32, 2, 12);
  a.steps = w.make(Element::i32, rows, 4);
  op::begin_recurrent_runs(a.runs);
  op::RecurrentRun run;
  run.rows = static_cast<std::int32_t>(rows);
  run.column = a.window_slots + 1;
  run.columns = s.columns;
  (void)op::add_recurrent_run(a.runs, a.steps, run).has_value();
  for (std::int64_t r = 0; r < rows; ++r) {
    op::RecurrentStep& step = op::recurrent_step(a.steps, r);
    if (s.tree) step.parent = static_cast<std::int32_t>(r) / 2 - 1;
    step.column = static_cast<std::int32_t>(op::ring_slot(run.column, 1 + r, a.window_slots));
  }
  return a;
}

template <>
inline std::vector<Case<op::ConvState>> cases<op::ConvState>() {
  std::vector<Case<op::ConvState>> list;
  for (const ConvShape& s : {ConvShape{"4 taps, 512 channels", 512, 4, 3},
                             ConvShape{"4 taps, 600 channels, bias", 600, 4, 3, true},
                             ConvShape{"4 taps, 96 channels, new sequence", 96, 4, 0},
                             ConvShape{"4 taps, 96 channels, 2 columns", 96, 4, 2},
                             ConvShape{"2 taps, 17 channels, bias", 17, 2, 1, true},
                             ConvShape{"3 taps, 15 channels", 15, 3, 2},
                             ConvShape{"5 taps, 48 channels, tree", 48, 5, 4, false, true},
                             ConvShape{"8 taps, 300 channels, bias, tree", 300, 8, 7, true, true}})
    list.push_back({s.name,
                    [=](Workspace& w, std::int64_t rows) { return conv_args(w, s, rows); },
                    // Up to nine roundings of the sum; where its terms cancel, silu is near 0.
                    2e-6,
                    {33}});
  return list;
}

// A row sees the rows before it: tests/exact/conv_exactness_test.cpp covers splits.
template <>
struct Harness<op::ConvState> {
  static constexpr bool sliceable = false;
  static Status prepare_cpu(Workspace&, op::ConvState::Args&, cpu::Isa) { return {}; }
};

}  // namespace kedge::cases
