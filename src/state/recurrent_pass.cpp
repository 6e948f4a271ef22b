// What a pass reads and leaves: begin, fill, commit.
#include <algorithm>

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

Status RecurrentState::begin(std::int32_t s, std::int64_t rows, std::int64_t keep) noexcept {
  KEDGE_CHECK(expect_idle(s));
  Text& t = text(s);
  if (rows < 0 || keep < 0)
    return fail(Code::invalid_argument, place,
                "sequence %d: rows and keep: expected 0 or more, found %lld and %lld", s,
                number(rows), number(keep));
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
    t.record_floor =
        std::max(t.record_floor, from.record + from.reach + t.keep - 1 - record_slots());
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

void RecurrentState::abandon(std::int32_t s) noexcept {
  Text& t = text(s);
  for (std::int32_t i = 0; i < t.taken; ++i) give_back(pass_planes(s)[i]);
  t.taken = 0;
  t.open = false;
}

Status RecurrentState::fill(const std::int32_t* positions, const std::int32_t* sequences,
                            std::int64_t rows, const Tensor& runs,
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
    if (positions[first] != position(s) || end - first != t.rows)
      return fail(Code::invalid_argument, place,
                  "rows %lld..%lld: sequence %d began a pass over %lld rows from position %lld on, "
                  "found %lld from %d on; its rows must be in one call",
                  number(first), number(end - 1), s, number(t.rows), number(position(s)),
                  number(end - first), positions[first]);
    for (std::int64_t r = first; r < end; ++r)
      if (positions[r] != positions[first] + (r - first))
        return fail(Code::invalid_argument, place,
                    "row %lld: position %d of sequence %d, expected %lld", number(r), positions[r],
                    s, number(positions[first] + (r - first)));
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
      run.base_after = static_cast<std::int32_t>(oldest);
    }
    run.columns = static_cast<std::int32_t>(tail(positions[first]));
    if (run.columns > 0) run.column = column_slot(s, column - 1);
    run.sequence = s;
    KEDGE_CHECK(op::add_recurrent_run(runs, steps, run));
    for (std::int64_t i = 0; i < t.rows; ++i) {
      op::RecurrentStep& step = op::recurrent_step(steps, first + i);
      if (i + 1 >= oldest && !replay) step.plane = pass_planes(s)[i + 1 - oldest];
      if (i >= oldest && replay) step.record = record_slot(s, record + i - oldest);
      if (i >= t.rows - t.stored) step.column = column_slot(s, column + i - (t.rows - t.stored));
    }
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
