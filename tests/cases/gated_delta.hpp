#pragma once

#include <cmath>

#include "cases/case.hpp"
#include "kedge/op/gated_delta.hpp"

namespace kedge::cases {

// What the rows of a case do with states.
enum class Keep {
  last,    // plane 0 comes in, the last state goes to plane 1
  all,     // a new sequence, every state kept
  replay,  // plane 0 and 3 records come in; a base plane and records go out
  two,     // the rows are shared by two sequences
  tree,    // rows branch off earlier ones, kept by planes
  twigs,   // the same, kept by records alone
};

struct DeltaShape {
  const char* name;
  int key_heads, value_heads, key_dim, value_dim;
  bool channel = false, grouped = false, l2_max = false;
  Keep keep = Keep::last;
};

// Row r branches off row r / 2 - 1 where that is not the row before it.
inline std::int32_t tree_parent(std::int64_t r) { return static_cast<std::int32_t>(r) / 2 - 1; }

// Planes: 0 and 1, then one per row; record slots: 3 old ones, then one per row. Of `most` rows,
// so that memory does not depend on the rows of a call.
inline op::GatedDelta::Args delta_args(Workspace& w, const DeltaShape& s, std::int64_t rows,
                                       std::int64_t most = 64) {
  op::GatedDelta::Args a;
  a.key_heads = s.key_heads;
  a.value_heads = s.value_heads;
  a.key_dim = s.key_dim;
  a.value_dim = s.value_dim;
  a.grouped = s.grouped;
  a.l2_max = s.l2_max;
  using Op = op::GatedDelta;
  a.x = w.random(1, 1.0f, rows, 2 * Op::keys(a) + Op::values(a));
  a.decay = w.random(2, 0.3f, rows, s.value_heads * (s.channel ? s.key_dim : 1));
  for (std::int64_t i = 0; i < rows * a.decay.width(); ++i)
    a.decay.as<float>()[i] = -std::fabs(a.decay.as<float>()[i]);
  a.beta = w.random(3, 1.0f, rows, s.value_heads);
  for (std::int64_t i = 0; i < rows * s.value_heads; ++i) {
    float& beta = a.beta.as<float>()[i];
    beta = 0.5f + 0.5f * beta / (1.0f + std::fabs(beta));
  }
  const bool records = s.keep == Keep::replay || s.keep == Keep::twigs;
  a.state = w.random(4, 0.5f, records ? 2 : 2 + most, s.value_heads * Op::head_state(a));
  if (records) {
    a.record_slots = static_cast<std::int32_t>(most + 3);
    a.records = w.random(5, 0.2f, a.record_slots, Op::record_width(a));
  }
  a.runs = w.make(Element::i32, 1 + rows, 12);
  a.steps = w.make(Element::i32, rows, 4);
  op::begin_recurrent_runs(a.runs);
  op::RecurrentRun run;
  run.rows = static_cast<std::int32_t>(rows);
  run.plane = s.keep == Keep::all ? -1 : 0;
  if (s.keep == Keep::replay) {
    run.replay = 3;
    run.record = a.record_slots - 2;  // the ring wraps
    run.base_plane = 1;
  }
  if (s.keep == Keep::two && rows > 1) {
    run.rows = static_cast<std::int32_t>((rows + 1) / 2);
    (void)op::add_recurrent_run(a.runs, a.steps, run).has_value();
    run.first = run.rows;
    run.rows = static_cast<std::int32_t>(rows) - run.first;
    run.plane = 1;
    run.sequence = 1;
  }
  (void)op::add_recurrent_run(a.runs, a.steps, run).has_value();
  for (std::int64_t r = 0; r < rows; ++r) {
    op::RecurrentStep& step = op::recurrent_step(a.steps, r);
    const auto number = static_cast<std::int32_t>(r);
    if (s.keep == Keep::tree || s.keep == Keep::twigs) step.parent = tree_parent(r);
    if (s.keep == Keep::all || s.keep == Keep::tree) step.plane = 2 + number;
    if (records) step.record = 1 + number;
    if (s.keep == Keep::last && r + 1 == rows) step.plane = 1;
    if (s.keep == Keep::two) step.plane = 2 + number;
  }
  return a;
}

template <>
inline std::vector<Case<op::GatedDelta>> cases<op::GatedDelta>() {
  std::vector<Case<op::GatedDelta>> list;
  for (const DeltaShape& s :
       {DeltaShape{"2/4 heads 32x32", 2, 4, 32, 32},
        DeltaShape{"2/2 heads 64x64, all kept", 2, 2, 64, 64, false, false, false, Keep::all},
        DeltaShape{"1/3 heads 17x20, grouped, max norm, all kept", 1, 3, 17, 20, false, true, true,
                   Keep::all},
        DeltaShape{"2/6 heads 16x48, grouped, replay", 2, 6, 16, 48, false, true, false,
                   Keep::replay},
        DeltaShape{"2/4 heads 24x40, replay", 2, 4, 24, 40, false, false, false, Keep::replay},
        DeltaShape{"2/2 heads 32x32 per channel, all kept", 2, 2, 32, 32, true, false, false,
                   Keep::all},
        DeltaShape{"1/2 heads 20x36 per channel, grouped, replay", 1, 2, 20, 36, true, true, false,
                   Keep::replay},
        DeltaShape{"1/2 heads 32x16, two sequences", 1, 2, 32, 16, false, false, false, Keep::two},
        DeltaShape{"1/2 heads 16x40, tree", 1, 2, 16, 40, false, false, false, Keep::tree},
        DeltaShape{"1/2 heads 16x40, tree of records", 1, 2, 16, 40, false, false, false,
                   Keep::twigs},
        DeltaShape{"1/1 heads 3x5 per channel", 1, 1, 3, 5, true}})
    list.push_back({s.name,
                    [=](Workspace& w, std::int64_t rows) { return delta_args(w, s, rows); },
                    // Some hundred roundings of 2^-24 at most; delta_test.cpp bounds them sharply.
                    1e-5,
                    {33}});
  // For benches too: the shape of Qwen3.5's heads.
  const DeltaShape qwen{
      "2/4 heads 128x128, replay", 2, 4, 128, 128, false, false, false, Keep::replay};
  list.push_back({qwen.name,
                  [=](Workspace& w, std::int64_t rows) { return delta_args(w, qwen, rows); },
                  1e-5});
  return list;
}

// A row's state is the one before it: tests/exact/delta_exactness_test.cpp covers splits.
template <>
struct Harness<op::GatedDelta> {
  static constexpr bool sliceable = false;
  static Status prepare_cpu(Workspace&, op::GatedDelta::Args&, cpu::Isa) { return {}; }
};

}  // namespace kedge::cases
