// What a pass reads and leaves: begin, fill, commit.
//
// A tree is a pass that keeps what is after each of its rows, under replay as a record each behind
// the state that came in, since any row may be the one that the next branch or pass goes on from.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kedge/op/recurrent_run.hpp"
#include "kedge/state/recurrent_state.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr const char* place = "recurrent state";

long long number(std::int64_t n) noexcept { return static_cast<long long>(n); }

}  // namespace

void RecurrentState::forget_oldest(std::int32_t s) noexcept {
  Kept* entries = kept(s);
  give_back(entries[0].plane);
  std::copy(entries + 1, entries + text(s).kept, entries);
  --text(s).kept;
}

Status RecurrentState::begin(std::int32_t s, std::int64_t rows, std::int64_t keep,
                             bool tree) noexcept {
  KEDGE_CHECK(expect_idle(s));
  Text& t = text(s);
  if (rows < 0 || keep < 0)
    return fail(Code::invalid_argument, place,
                "sequence %d: rows and keep: expected 0 or more, found %lld and %lld", s,
                number(rows), number(keep));
  if (tree && (rows > policy_.depth || policy_.kind == RecurrentPolicy::Kind::checkpoint))
    return fail(Code::invalid_argument, place,
                "sequence %d: a tree of %lld rows, but the states of %lld are kept at most (%s)", s,
                number(rows), number(policy_.depth), to_string(policy_.kind));
  if (tree) keep = rows;
  t.tree = tree;
  t.rows = rows;
  t.keep = std::min({rows, keep, policy_.depth});
  t.stored = t.keep == 0 ? 0 : std::min(rows, t.keep + shape_.conv_width - 2);
  const bool replay = policy_.kind == RecurrentPolicy::Kind::replay;
  const std::int64_t fresh = replay ? std::min<std::int64_t>(t.keep, 1) : t.keep;
  while (t.kept + fresh > policy_.planes()) forget_oldest(s);
  // There are planes() for each sequence, and a plane that a landmark has counts there.
  for (std::int64_t i = 0; i < fresh; ++i) pass_planes(s)[i] = take();
  t.taken = static_cast<std::int32_t>(fresh);
  const Kept& from = current(s);
  t.column_floor = std::max(t.column_floor, from.column + from.reach + t.stored - window_slots());
  if (replay && t.keep > 0)
    t.record_floor = std::max(t.record_floor,
                              from.record + from.reach + t.keep - (tree ? 0 : 1) - record_slots());
  t.open = true;
  return {};
}

bool RecurrentState::can_commit(std::int32_t s, std::int64_t n) const noexcept {
  const Text& t = text(s);
  return t.open && n >= 0 && n <= t.rows && (n == 0 || n > t.rows - t.keep);
}

Status RecurrentState::commit(std::int32_t s, std::int64_t n) noexcept {
  Text& t = text(s);
  if (!t.open) return fail(Code::invalid_argument, place, "sequence %d: no pass is open", s);
  if (!can_commit(s, n))
    return fail(Code::invalid_argument, place,
                "sequence %d: commit of %lld of %lld rows: the states before the first and after "
                "each of the last %lld are kept (%s)",
                s, number(n), number(t.rows), number(t.keep), to_string(policy_.kind));
  const Kept from = current(s);
  const std::int64_t first = from.position + from.reach;
  // What comes after the first `done` rows.
  const auto after = [&](std::int64_t done, std::int32_t plane, std::int64_t reach) {
    const std::int64_t unstored = t.rows - t.stored;
    kept(s)[t.kept++] = {first + done, from.column + from.reach + done - unstored,
                         from.record + from.reach, plane, static_cast<std::int32_t>(reach)};
  };
  const std::int64_t oldest = t.rows - t.keep + 1;
  std::int32_t used = 0;
  if (n > 0 && policy_.kind == RecurrentPolicy::Kind::replay) {
    after(oldest, pass_planes(s)[used++], n - oldest);
  } else if (n > 0) {
    for (std::int64_t done = oldest; done <= n; ++done) after(done, pass_planes(s)[used++], 0);
  }
  while (used < t.taken) give_back(pass_planes(s)[used++]);
  t.taken = 0;
  t.open = false;
  return {};
}

// What stands apart of a branch moves together: columns and records are counted through.
void RecurrentState::gather(std::int32_t s, std::span<const std::int32_t> branch) noexcept {
  const Kept& from = current(s);
  const std::int64_t column = from.column + from.reach, record = from.record + from.reach;
  const auto move = [this](const Tensor& ring, std::int32_t to, std::int32_t row) {
    const std::size_t bytes = row_bytes(ring.element, ring.width());
    std::memcpy(ring.row<float>(to), ring.row<float>(row), bytes);
    copied_.branches += bytes;
  };
  for (std::size_t i = 0; i < branch.size(); ++i) {
    const auto to = static_cast<std::int64_t>(i);
    if (branch[i] == to) continue;  // a row moves towards the first, so none is lost
    for (std::int64_t layer = 0; layer < shape_.layers; ++layer) {
      move(window(layer), column_slot(s, column + to), column_slot(s, column + branch[i]));
      if (policy_.kind == RecurrentPolicy::Kind::replay)
        move(records(layer), record_slot(s, record + to), record_slot(s, record + branch[i]));
    }
  }
}

Status RecurrentState::commit(std::int32_t s, std::span<const std::int32_t> branch) noexcept {
  Text& t = text(s);
  if (!t.open) return fail(Code::invalid_argument, place, "sequence %d: no pass is open", s);
  bool ascending = branch.empty() || (branch[0] == 0 && branch.back() < t.rows);
  for (std::size_t i = 1; i < branch.size(); ++i)
    ascending = ascending && branch[i] > branch[i - 1];
  if (!t.tree || !ascending)
    return fail(Code::invalid_argument, place,
                "sequence %d: commit of a branch of %zu rows: expected ascending rows of a tree of "
                "%lld, from 0 on",
                s, branch.size(), number(t.rows));
  gather(s, branch);
  const Kept from = current(s);
  const std::int64_t first = from.position + from.reach;
  const std::int64_t column = from.column + from.reach, record = from.record + from.reach;
  const auto length = static_cast<std::int64_t>(branch.size());
  std::int32_t* planes = pass_planes(s);
  if (length > 0 && policy_.kind == RecurrentPolicy::Kind::replay) {
    kept(s)[t.kept++] = {first, column, record, std::exchange(planes[0], -1),
                         static_cast<std::int32_t>(length)};
  } else {
    for (std::int64_t i = 0; i < length; ++i)
      kept(s)[t.kept++] = {first + i + 1, column + i + 1, record,
                           std::exchange(planes[branch[static_cast<std::size_t>(i)]], -1), 0};
  }
  for (std::int32_t i = 0; i < t.taken; ++i)
    if (planes[i] >= 0) give_back(planes[i]);
  t.taken = 0;
  t.open = false;
  return {};
}

void RecurrentState::abandon(std::int32_t s) noexcept {
  Text& t = text(s);
  for (std::int32_t i = 0; i < t.taken; ++i) give_back(pass_planes(s)[i]);
  t.taken = 0;
  t.open = false;
}

Status RecurrentState::fill(const std::int32_t* positions, const std::int32_t* sequences,
                            const std::int32_t* parents, std::int64_t rows, const Tensor& runs,
                            const Tensor& steps) const noexcept {
  op::begin_recurrent_runs(runs);
  const bool replay = policy_.kind == RecurrentPolicy::Kind::replay;
  for (std::int64_t first = 0, end; first < rows; first = end) {
    const std::int32_t s = sequences[first];
    for (end = first + 1; end < rows && sequences[end] == s;) ++end;
    if (s < 0 || s >= sequences_ || !text(s).open)
      return fail(Code::invalid_argument, place,
                  "row %lld: sequence %d has begun no pass (a row's transaction must be open)",
                  number(first), s);
    const Text& t = text(s);
    if (t.tree && parents == nullptr)
      return fail(Code::invalid_argument, place, "sequence %d: a tree without parents", s);
    if (positions[first] != position(s) || end - first != t.rows)
      return fail(Code::invalid_argument, place,
                  "rows %lld..%lld: sequence %d began a pass over %lld rows from position %lld on, "
                  "found %lld from %d on; its rows must be in one call",
                  number(first), number(end - 1), s, number(t.rows), number(position(s)),
                  number(end - first), positions[first]);
    for (std::int64_t r = first + 1; r < end; ++r) {
      const std::int64_t before = parents == nullptr ? r - 1 : parents[r];
      if (before < first || before >= r || (before != r - 1 && !t.tree) ||
          positions[r] != positions[before] + 1)
        return fail(Code::invalid_argument, place,
                    "row %lld: position %d of sequence %d behind row %lld, expected %s", number(r),
                    positions[r], s, number(before),
                    t.tree ? "an earlier row of its tree and the position behind it"
                           : "the row before and the position behind it (the pass is no tree)");
    }
    const Kept& from = current(s);
    const std::int64_t column = from.column + from.reach, record = from.record + from.reach;
    const std::int64_t oldest = t.rows - t.keep + 1;  // rows after which the first kept state is
    op::RecurrentRun run;
    run.first = static_cast<std::int32_t>(first);
    run.rows = static_cast<std::int32_t>(t.rows);
    run.plane = from.plane;
    run.replay = from.reach;
    if (from.reach > 0) run.record = record_slot(s, from.record);
    if (replay && t.keep > 0) {
      run.base_plane = pass_planes(s)[0];
      run.base_after = t.tree ? 0 : static_cast<std::int32_t>(oldest);
    }
    run.columns = static_cast<std::int32_t>(tail(positions[first]));
    if (run.columns > 0) run.column = column_slot(s, column - 1);
    run.sequence = s;
    KEDGE_CHECK(op::add_recurrent_run(runs, steps, run));
    for (std::int64_t i = 0; i < t.rows; ++i) {
      op::RecurrentStep& step = op::recurrent_step(steps, first + i);
      if (i + 1 >= oldest && !replay) step.plane = pass_planes(s)[i + 1 - oldest];
      if (t.tree && replay) step.record = record_slot(s, record + i);
      else if (i >= oldest && replay) step.record = record_slot(s, record + i - oldest);
      if (t.tree && i > 0) step.parent = parents[first + i];
      if (i >= t.rows - t.stored) step.column = column_slot(s, column + i - (t.rows - t.stored));
    }
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
