// Which states and columns the rows of a pass read and write: the two i32 tables that gated_delta
// and conv_state take, as attention takes `tiles`. Host code fills them before each run.
//
// A recurrent state is never written in place. A *plane* holds the state of one sequence at one
// position; a pass reads one and writes others, so undoing a pass is not looking at what it wrote.
//   runs   [1 + most runs, 12] i32: RecurrentHeader, then RecurrentRun per group of consecutive
//   rows
//          of one sequence
//   steps  [rows, 4] i32: RecurrentStep per row
// Numbers of planes are rows of `state`; slots of records and of columns are rows of `records` and
// `window`, each sequence having a block of `record_slots` or `window_slots` that is used as a
// ring.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct RecurrentHeader {
  std::int32_t count, rows, unused[10];
};

struct RecurrentRun {
  std::int32_t first = 0;  // rows first .. first + rows - 1; a parent comes before its children
  std::int32_t rows = 0;
  std::int32_t plane = -1;       // the incoming state; -1: zeros, a new sequence
  std::int32_t replay = 0;       // accepted records that `plane` does not contain yet,
  std::int32_t record = 0;       // and the slot of the first of them
  std::int32_t base_plane = -1;  // where the state is written after the records and base_after of
  std::int32_t base_after = 0;   // this run's rows; -1: nowhere
  std::int32_t column = 0;       // slot of the newest column before row `first`,
  std::int32_t columns = 0;      // and how many before it are real; the others are zeros
  std::int32_t sequence = 0;     // for messages
  std::int32_t unused[2] = {};
};

struct RecurrentStep {
  std::int32_t parent = -1;  // row whose state comes in; -1: the run's incoming state
  std::int32_t plane = -1;   // where the state after this row is written; -1: nowhere
  std::int32_t record = -1;  // slot of `records` for what a replay of this row needs; -1: none
  std::int32_t column = -1;  // slot of `window` for this row's input; -1: none
};
static_assert(sizeof(RecurrentHeader) == 48 && sizeof(RecurrentRun) == 48);
static_assert(sizeof(RecurrentStep) == 16);

KEDGE_INLINE std::int32_t recurrent_run_count(const Tensor& runs) noexcept {
  return runs.as<RecurrentHeader>()->count;
}
KEDGE_INLINE RecurrentRun& recurrent_run(const Tensor& runs, std::int64_t index) noexcept {
  return runs.as<RecurrentRun>()[1 + index];
}
KEDGE_INLINE RecurrentStep& recurrent_step(const Tensor& steps, std::int64_t row) noexcept {
  return steps.as<RecurrentStep>()[row];
}
// The slot `by` places after `slot` (before it when negative) in its sequence's block.
KEDGE_INLINE std::int64_t ring_slot(std::int64_t slot, std::int64_t by,
                                    std::int64_t slots) noexcept {
  const std::int64_t block = slot / slots * slots, at = (slot - block + by) % slots;
  return block + (at < 0 ? at + slots : at);
}

inline Status expect_recurrent_tables(const char* op, const Tensor& runs, const Tensor& steps,
                                      std::int64_t rows) noexcept {
  KEDGE_CHECK(expect_shape(op, "runs", runs, Element::i32, runs.rows(), 12));
  if (runs.rows() < 2)
    return fail(Code::invalid_argument, op,
                "runs: expected a header and room for at least 1 run, found %lld rows",
                static_cast<long long>(runs.rows()));
  return expect_shape(op, "steps", steps, Element::i32, rows, 4);
}

// Filling. begin_recurrent_runs(), then add_recurrent_run() for each sequence of the pass: its
// rows follow one another and keep nothing until one of the functions below says so.
inline void begin_recurrent_runs(const Tensor& runs) noexcept { *runs.as<RecurrentHeader>() = {}; }
inline Status add_recurrent_run(const Tensor& runs, const Tensor& steps,
                                const RecurrentRun& run) noexcept {
  auto& header = *runs.as<RecurrentHeader>();
  if (header.count + 1 >= runs.rows())
    return fail(Code::invalid_argument, "runs", "sequence %d: there is room for %d runs only",
                run.sequence, header.count);
  if (run.first != header.rows || run.rows < 1 || run.first + run.rows > steps.rows())
    return fail(Code::invalid_argument, "runs",
                "sequence %d: rows %d..%d, expected to begin at %d and to end below %lld",
                run.sequence, run.first, run.first + run.rows - 1, header.rows,
                static_cast<long long>(steps.rows()));
  recurrent_run(runs, header.count++) = run;
  header.rows = run.first + run.rows;
  for (std::int32_t r = 0; r < run.rows; ++r)
    recurrent_step(steps, run.first + r) = {r == 0 ? -1 : run.first + r - 1, -1, -1, -1};
  return {};
}

// Keeps the states after the run's last `count` rows, the newest in planes[0], the one before it
// in planes[1]: Kedge's order. With fewer rows than planes the others are not touched; the state
// that came in is still in run.plane.
inline void keep_newest_first(const Tensor& steps, const RecurrentRun& run,
                              const std::int32_t* planes, std::int32_t count) noexcept {
  for (std::int32_t slot = 0; slot < count && slot < run.rows; ++slot)
    recurrent_step(steps, run.first + run.rows - 1 - slot).plane = planes[slot];
}
// The same with the newest in planes[count - 1], as older interfaces have it.
inline void keep_chronological(const Tensor& steps, const RecurrentRun& run,
                               const std::int32_t* planes, std::int32_t count) noexcept {
  for (std::int32_t slot = 0; slot < count && slot < run.rows; ++slot)
    recurrent_step(steps, run.first + run.rows - 1 - slot).plane = planes[count - 1 - slot];
}
// States that a view of [sequences, K, values] keeps per sequence; 1 for [planes, values]. Slot s
// of sequence n is plane n * K + s.
KEDGE_INLINE constexpr std::int64_t states_kept(const Tensor& state) noexcept {
  return state.rank == 3 ? state.extent[1] : 1;
}

// What a pass has: numbers in the tables must lie below these.
struct RecurrentLimits {
  std::int64_t rows = 0, planes = 0, records = 0, window = 0;
  std::int64_t record_slots = 0, window_slots = 0;
};
// Whether every number in the tables is one that kernels may follow; kernels trust them. O(rows).
inline Status check_recurrent_tables(const char* op, const Tensor& runs, const Tensor& steps,
                                     const RecurrentLimits& limits) noexcept {
  const auto bad = [op](const char* what, std::int64_t at, std::int64_t found,
                        std::int64_t limit) -> Unexpected {
    return fail(Code::invalid_argument, op, "%s %lld: found %lld, expected less than %lld", what,
                static_cast<long long>(at), static_cast<long long>(found),
                static_cast<long long>(limit));
  };
  const std::int32_t count = recurrent_run_count(runs);
  if (count < 0 || count >= runs.rows()) return bad("runs: count", 0, count, runs.rows());
  std::int64_t next = 0;
  for (std::int32_t n = 0; n < count; ++n) {
    const RecurrentRun& run = recurrent_run(runs, n);
    const std::int64_t end = std::int64_t{run.first} + run.rows;
    if (run.first != next || run.rows < 1 || end > limits.rows)
      return fail(Code::invalid_argument, op,
                  "run %d: rows %d..%lld, expected to begin at %lld and to end below %lld", n,
                  run.first, static_cast<long long>(end) - 1, static_cast<long long>(next),
                  static_cast<long long>(limits.rows));
    next = end;
    if (limits.planes > 0) {
      if (run.plane < -1 || run.plane >= limits.planes)
        return bad("plane of run", n, run.plane, limits.planes);
      if (run.base_plane < -1 || run.base_plane >= limits.planes)
        return bad("base_plane of run", n, run.base_plane, limits.planes);
      if (run.base_after < 0 || run.base_after > run.rows)
        return bad("base_after of run", n, run.base_after, run.rows + 1);
      if (run.replay < 0 || run.replay > limits.record_slots)
        return bad("replay of run", n, run.replay, limits.record_slots + 1);
      if (run.replay > 0 && (run.record < 0 || run.record >= limits.records))
        return bad("record of run", n, run.record, limits.records);
    }
    if (limits.window > 0) {
      if (run.columns < 0 || run.columns > limits.window_slots)
        return bad("columns of run", n, run.columns, limits.window_slots + 1);
      if (run.columns > 0 && (run.column < 0 || run.column >= limits.window))
        return bad("column of run", n, run.column, limits.window);
    }
    for (std::int64_t r = run.first; r < end; ++r) {
      const RecurrentStep& step = recurrent_step(steps, r);
      if (step.parent != -1 && (step.parent < run.first || step.parent >= r))
        return fail(Code::invalid_argument, op,
                    "row %lld: parent %d is neither -1 nor an earlier row of its run, from %d on",
                    static_cast<long long>(r), step.parent, run.first);
      if (limits.planes > 0 && (step.plane < -1 || step.plane >= limits.planes))
        return bad("plane of row", r, step.plane, limits.planes);
      if (limits.planes > 0 && (step.record < -1 || step.record >= limits.records))
        return bad("record of row", r, step.record, limits.records);
      if (limits.window > 0 && (step.column < -1 || step.column >= limits.window))
        return bad("column of row", r, step.column, limits.window);
      // A branch begins at a state that was kept, or that records lead to.
      if (limits.planes > 0 && step.parent >= 0 && step.parent != r - 1)
        for (std::int32_t a = step.parent; a >= 0 && recurrent_step(steps, a).plane < 0;
             a = recurrent_step(steps, a).parent)
          if (recurrent_step(steps, a).record < 0)
            return fail(Code::invalid_argument, op,
                        "row %lld branches off row %d, which keeps neither a plane nor a record",
                        static_cast<long long>(r), a);
    }
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::op
