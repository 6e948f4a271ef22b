// gated_delta and conv_state on plain tensors: without tables in the file, all rows are one
// sequence that goes on from the state given.
#pragma once

#include "kedge/kernel/cpu/conv_state.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "op/adapters.hpp"

namespace kedge::tools {

inline void make_optional(OperatorFields& f, const char* name, const char* help) {
  for (TensorField& t : f.tensors)
    if (t.name == name) {
      t.optional = true;
      t.help = help;
    }
}

inline op::RecurrentRun make_tables(Tensor& runs, Tensor& steps, std::int64_t rows,
                                    Memory& memory) {
  runs = tensor(nullptr, Element::i32, 2, 12);
  steps = tensor(nullptr, Element::i32, rows, 4);
  memory.give_memory(runs);
  memory.give_memory(steps);
  op::begin_recurrent_runs(runs);
  op::RecurrentRun run;
  run.rows = static_cast<std::int32_t>(rows);
  return run;
}

template <>
struct Adapter<op::GatedDelta> {
  using Op = op::GatedDelta;
  using Args = Op::Args;

  static void describe(OperatorFields& f) {
    make_optional(f, "runs", "[1 + runs, 12] i32, op/recurrent_run.hpp; optional: one run");
    make_optional(f, "steps", "[rows, 4] i32, op/recurrent_run.hpp; optional with runs");
    make_optional(f, "state",
                  "[planes, value_heads, key_dim, value_dim] f32; without runs the one state that "
                  "comes in; optional: zeros");
    f.settings.push_back({"keep", "integer", "1", "without runs: how many states come back"});
    f.notes.push_back(
        "without runs the states that come back are those after the last rows, the newest first,\n"
        "then the one that came in; with runs they are all planes");
  }

  // Between [key_dim][value_dim] per head and the blocks that kernels read.
  static void to_blocks(const Args& a, const float* plain, float* blocks, bool back) {
    const op::DeltaLayout layout{a.key_dim, a.value_dim};
    for (std::int64_t h = 0; h < a.value_heads; ++h)
      for (std::int64_t i = 0; i < a.key_dim; ++i)
        for (std::int64_t j = 0; j < a.value_dim; ++j) {
          const std::int64_t at = (h * a.key_dim + i) * a.value_dim + j;
          const std::int64_t block = h * Op::head_state(a) + layout.index(i, j);
          if (back) const_cast<float*>(plain)[at] = blocks[block];
          else blocks[block] = plain[at];
        }
  }

  static void prepare(OperatorCall& call, Args& a, Memory& memory) {
    const bool own_tables = !a.runs.empty() || !a.steps.empty();
    const auto keep = parse_setting<std::int32_t>("keep", take_setting(call, "keep", "1"));
    if (a.x.empty()) return;
    must(Op::check_heads(a));
    const std::int64_t values = a.value_heads * Op::head_state(a), rows = a.x.rows();
    if (keep < 1 || keep > 4096)
      bad_usage("--set keep", "expected a number from 1 to 4096, found {}", keep);
    const Tensor given = a.state;
    const std::int64_t found =
        given.empty() ? 0 : given.rows() * given.width() / std::max<std::int64_t>(1, values);
    if (!given.empty() &&
        (given.element != Element::f32 || given.rows() * given.width() != found * values ||
         found < 1 || (!own_tables && found != 1)))
      fail_with(Code::invalid_argument, Op::name,
                "state: expected f32 [{}{}, {}, {}], found {} values of {}",
                own_tables ? "planes, " : "", a.value_heads, a.key_dim, a.value_dim,
                given.rows() * given.width(), to_string(given.element));
    a.state = tensor(nullptr, Element::f32,
                     own_tables ? std::max<std::int64_t>(1, found) : 1 + keep, values);
    memory.give_memory(a.state);
    for (std::int64_t p = 0; p < found; ++p)
      to_blocks(a, given.as<float>() + p * values, a.state.row<float>(p), false);
    if (own_tables) {
      must(op::expect_recurrent_tables(Op::name, a.runs, a.steps, rows));
      must(Op::check_tables(a, rows));
      return;
    }
    op::RecurrentRun run = make_tables(a.runs, a.steps, rows, memory);
    run.plane = 0;
    must(op::add_recurrent_run(a.runs, a.steps, run));
    std::vector<std::int32_t> planes;
    for (std::int32_t p = 1; p <= keep; ++p) planes.push_back(p);
    op::keep_newest_first(a.steps, run, planes.data(), keep);
    if (rows < keep)
      std::memcpy(a.state.row<float>(1 + rows), a.state.data,
                  static_cast<std::size_t>(values) * sizeof(float));
  }

  static void finish(const OperatorCall& call, const Args& a, Memory& memory,
                     OperatorResult& result) {
    const bool own_tables = call.tensors.contains("runs");
    const std::int64_t first = own_tables ? 0 : 1;
    Tensor state = tensor(nullptr, Element::f32, a.state.rows() - first, a.value_heads, a.key_dim,
                          a.value_dim);
    memory.give_memory(state);
    for (std::int64_t p = first; p < a.state.rows(); ++p)
      to_blocks(a, state.as<float>() + (p - first) * a.state.width(), a.state.row<float>(p), true);
    result.outputs["state"] = state;
    if (!a.records.empty()) result.outputs["records"] = a.records;
  }
};

template <>
struct Adapter<op::ConvState> {
  using Op = op::ConvState;
  using Args = Op::Args;

  static void describe(OperatorFields& f) {
    make_optional(f, "runs", "[1 + runs, 12] i32, op/recurrent_run.hpp; optional: one run");
    make_optional(f, "steps", "[rows, 4] i32, op/recurrent_run.hpp; optional with runs");
    make_optional(f, "window",
                  "[slots, channels] f32; without runs the inputs before the first row, oldest "
                  "first; optional: none");
    f.notes.push_back(
        "without runs the window that comes back holds the last W - 1 inputs, oldest first, zeros\n"
        "where there was none");
  }

  static void prepare(OperatorCall&, Args& a, Memory& memory) {
    if (a.x.empty() || a.weight.empty()) return;
    const std::int64_t rows = a.x.rows(), channels = a.x.width();
    if (!a.runs.empty() || !a.steps.empty()) {
      must(Op::infer(a));
      must(op::expect_recurrent_tables(Op::name, a.runs, a.steps, rows));
      if (!a.window.empty()) must(Op::check_tables(a, rows));
      return;
    }
    const Tensor given = a.window;
    const std::int64_t before = given.empty() ? 0 : given.rows();
    if (!given.empty())
      must(op::expect_shape(Op::name, "window", given, Element::f32, before, channels));
    const std::int64_t slots = std::max(before + rows, a.weight.rows() - 1);
    a.window_slots = static_cast<std::int32_t>(slots);
    a.window = tensor(nullptr, Element::f32, slots, channels);
    memory.give_memory(a.window);
    if (before > 0) std::memcpy(a.window.data, given.data, given.bytes());
    op::RecurrentRun run = make_tables(a.runs, a.steps, rows, memory);
    run.column = static_cast<std::int32_t>(std::max<std::int64_t>(0, before - 1));
    run.columns = static_cast<std::int32_t>(before);
    must(op::add_recurrent_run(a.runs, a.steps, run));
    for (std::int64_t r = 0; r < rows; ++r)
      op::recurrent_step(a.steps, r).column = static_cast<std::int32_t>(before + r);
  }

  static void finish(const OperatorCall& call, const Args& a, Memory& memory,
                     OperatorResult& result) {
    if (call.tensors.contains("runs")) {
      result.outputs["window"] = a.window;
      return;
    }
    const std::int64_t kept = a.weight.rows() - 1;
    const std::int64_t real = op::recurrent_run(a.runs, 0).columns + a.x.rows();
    Tensor window = tensor(nullptr, Element::f32, kept, a.x.width());
    memory.give_memory(window);
    for (std::int64_t c = 0; c < kept; ++c)
      if (const std::int64_t from = real - kept + c; from >= 0)
        std::memcpy(window.row<float>(c), a.window.row<float>(from),
                    static_cast<std::size_t>(a.x.width()) * sizeof(float));
    result.outputs["window"] = window;
  }
};

}  // namespace kedge::tools
