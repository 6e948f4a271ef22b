// Going back, forks and landmarks: entries of lists, and a few columns.
#include <algorithm>
#include <cstring>

#include "kedge/state/recurrent_state.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr const char* place = "recurrent state";

long long number(std::int64_t n) noexcept { return static_cast<long long>(n); }

void copy_row(const Tensor& to, std::int64_t to_row, const Tensor& from, std::int64_t from_row,
              std::uint64_t& counter) noexcept {
  const std::size_t bytes = row_bytes(to.element, to.width());
  std::memcpy(to.row<float>(to_row), from.row<float>(from_row), bytes);
  counter += bytes;
}

}  // namespace

// Columns that a row at this position looks back at.
std::int64_t RecurrentState::tail(std::int64_t position) const noexcept {
  return std::min(position, shape_.conv_width - 1);
}

// Whether the entry's plane, the records behind it and the columns before `p` are all there.
bool RecurrentState::has(const Text& t, const Kept& e, std::int64_t p) const noexcept {
  const std::int64_t behind = p - e.position;
  return behind >= 0 && behind <= e.reach && e.column + behind - tail(p) >= t.column_floor &&
         (behind == 0 || e.record >= t.record_floor);
}

// The entry that leads to exactly this position; null: none does.
const RecurrentState::Kept* RecurrentState::reaching(std::int32_t s,
                                                     std::int64_t p) const noexcept {
  for (std::int32_t i = text(s).kept - 1; i >= 0; --i)
    if (has(text(s), kept(s)[i], p)) return kept(s) + i;
  return nullptr;
}

// Index in the sequence's list of the last landmark at or before the position, -1: none.
std::int32_t RecurrentState::find_landmark(std::int32_t s, std::int64_t p) const noexcept {
  std::int32_t i = text(s).landmarks - 1;
  while (i >= 0 && landmark(s, i) > p) --i;
  return i;
}

std::int64_t RecurrentState::nearest(std::int32_t s, std::int64_t p) const noexcept {
  p = std::min(p, position(s));
  std::int64_t best = 0;
  for (std::int32_t i = text(s).kept - 1; i >= 0; --i) {
    const Kept& e = kept(s)[i];
    // What is missing at the newest position behind an entry (columns, the first record) is missing
    // at the older ones too, but for the entry's own, which needs no records.
    for (const std::int64_t tried : {std::min(p, e.position + e.reach), e.position})
      if (tried > best && tried <= p && has(text(s), e, tried)) best = tried;
  }
  const std::int32_t i = find_landmark(s, p);
  return i < 0 ? best : std::max(best, landmark(s, i));
}

std::int64_t RecurrentState::depth(std::int32_t s) const noexcept {
  const std::int64_t newest = position(s);
  std::int64_t p = newest;
  while (p > 0 && (p == 1 || reaching(s, p - 1) != nullptr)) --p;
  return newest - p;
}

// Forgets what is newer than the position.
void RecurrentState::cut(std::int32_t s, std::int64_t p) noexcept {
  Text& t = text(s);
  while (t.landmarks > 0 && landmark(s, t.landmarks - 1) > p) drop_landmark(s, t.landmarks - 1);
  while (t.kept > 0 && kept(s)[t.kept - 1].position > p) give_back(kept(s)[--t.kept].plane);
  if (t.kept == 0) return;
  Kept& last = kept(s)[t.kept - 1];
  last.reach = static_cast<std::int32_t>(std::min<std::int64_t>(last.reach, p - last.position));
}

Status RecurrentState::undo(std::int32_t s, std::int64_t n) noexcept {
  KEDGE_CHECK(expect_idle(s));
  const std::int64_t most = depth(s);
  if (n < 0 || n > most)
    return fail(
        Code::invalid_argument, place,
        "sequence %d: undo of %lld tokens at position %lld: the states of the last %lld are "
        "kept (%s, depth %lld)",
        s, number(n), number(position(s)), number(most), to_string(policy_.kind),
        number(policy_.depth));
  KEDGE_TRY([[maybe_unused]] const std::int64_t at, rewind(s, position(s) - n));
  return {};
}

Result<std::int64_t> RecurrentState::rewind(std::int32_t s, std::int64_t p) noexcept {
  KEDGE_CHECK(expect_idle(s));
  if (p < 0 || p > position(s))
    return fail(Code::invalid_argument, place, "rewind: expected 0..%lld, found %lld",
                number(position(s)), number(p));
  const std::int64_t to = nearest(s, p);
  if (reaching(s, to) != nullptr) {
    cut(s, to);
  } else if (to == 0) {
    cut(s, -1);
    start(s);
  } else {
    stand_at_landmark(s, mark_of(landmark_list(s)[find_landmark(s, to)]));
  }
  return to;
}

// Its columns go behind those that are there, so that older kept states keep theirs.
void RecurrentState::stand_at_landmark(std::int32_t s, const Landmark& m) noexcept {
  Text& t = text(s);
  const Kept from = current(s);
  const std::int64_t tail_columns = tail(m.position), slots = window_slots();
  const std::int64_t column = from.column + from.reach + tail_columns;
  const std::int64_t record = from.record + from.reach;
  ++shares_.as<std::int32_t>()[m.plane];
  const auto which = static_cast<std::int32_t>(&m - landmarks_.as<Landmark>());
  cut(s, m.position);
  if (t.kept == policy_.planes()) forget_oldest(s);
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer)
    for (std::int64_t back = 1; back <= tail_columns; ++back)
      copy_row(window(layer), column_slot(s, column - back), landmark_columns(which, layer),
               back - 1, copied_.landmarks);
  t.column_floor = std::max(t.column_floor, column - slots);
  kept(s)[t.kept++] = {m.position, column, record, m.plane, 0};
}

// Of one landmark and layer: row `back - 1` is the column `back` positions before it.
Tensor RecurrentState::landmark_columns(std::int32_t which, std::int64_t layer) const noexcept {
  const std::int64_t rows = shape_.conv_width - 1, width = shape_.column_width();
  return tensor(landmark_columns_.as<float>() + (which * shape_.layers + layer) * rows * width,
                Element::f32, rows, width);
}

void RecurrentState::drop_landmark(std::int32_t s, std::int32_t index) noexcept {
  std::int32_t* list = landmark_list(s);
  Landmark& m = mark_of(list[index]);
  if (--m.shares == 0) give_back(m.plane);
  std::copy(list + index + 1, list + text(s).landmarks, list + index);
  --text(s).landmarks;
}

// Gives up the landmark of this sequence alone that is missed least: distances between those that
// stay grow with the text. False: it has none.
bool RecurrentState::thin(std::int32_t s, std::int64_t newest) noexcept {
  const std::int32_t count = text(s).landmarks;
  std::int32_t least = -1;
  std::int64_t smallest = 0;
  for (std::int32_t i = 0; i < count; ++i) {
    if (mark_of(landmark_list(s)[i]).shares > 1) continue;  // would free nothing
    const std::int64_t before = i == 0 ? 0 : landmark(s, i - 1);
    const std::int64_t gap = (i + 1 < count ? landmark(s, i + 1) : newest) - before;
    if (least < 0 || gap < smallest) {
      least = i;
      smallest = gap;
    }
  }
  if (least < 0) return false;
  drop_landmark(s, least);
  return true;
}

bool RecurrentState::mark(std::int32_t s, std::int64_t p) noexcept {
  Text& t = text(s);
  if (t.open || p < 1) return false;
  std::int32_t at = find_landmark(s, p);
  if (at >= 0 && landmark(s, at) == p) return true;
  const Kept* e = nullptr;
  for (std::int32_t i = 0; i < t.kept; ++i)
    if (kept(s)[i].position == p && has(t, kept(s)[i], p)) e = kept(s) + i;
  if (e == nullptr) return false;
  const auto unused = [&] {
    std::int32_t n = 0;
    while (n < landmark_room_ && mark_of(n).shares > 0) ++n;
    return n;
  };
  std::int32_t which = unused();
  if (which == landmark_room_) {
    if (!thin(s, std::max(p, position(s)))) return false;
    which = unused();
  }
  mark_of(which) = {p, e->plane, 1};
  ++shares_.as<std::int32_t>()[e->plane];
  at = find_landmark(s, p) + 1;
  std::int32_t* list = landmark_list(s);
  std::copy_backward(list + at, list + t.landmarks, list + t.landmarks + 1);
  list[at] = which;
  ++t.landmarks;
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer)
    for (std::int64_t back = 1; back <= tail(p); ++back)
      copy_row(landmark_columns(which, layer), back - 1, window(layer),
               column_slot(s, e->column - back), copied_.landmarks);
  return true;
}

std::int64_t RecurrentState::landmarks(std::int32_t s) const noexcept { return text(s).landmarks; }
std::int64_t RecurrentState::landmark(std::int32_t s, std::int64_t i) const noexcept {
  return mark_of(landmark_list(s)[i]).position;
}

Status RecurrentState::fork(std::int32_t from, std::int32_t to) noexcept {
  KEDGE_CHECK(expect_idle(from));
  KEDGE_CHECK(expect_idle(to));
  release(to);
  text(to) = text(from);
  const Text& t = text(from);
  for (std::int32_t i = 0; i < t.kept; ++i) {
    kept(to)[i] = kept(from)[i];
    if (kept(to)[i].plane >= 0) ++shares_.as<std::int32_t>()[kept(to)[i].plane];
  }
  for (std::int32_t i = 0; i < t.landmarks; ++i) {
    landmark_list(to)[i] = landmark_list(from)[i];
    ++mark_of(landmark_list(to)[i]).shares;
  }
  const Kept &oldest = kept(from)[0], &newest = current(from);
  const std::int64_t column = std::max(t.column_floor, oldest.column - tail(oldest.position));
  const std::int64_t record = std::max(t.record_floor, oldest.record);
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer) {
    for (std::int64_t n = column; n < newest.column + newest.reach; ++n)
      copy_row(window(layer), column_slot(to, n), window(layer), column_slot(from, n),
               copied_.forks);
    for (std::int64_t n = record; n < newest.record + newest.reach; ++n)
      copy_row(records(layer), record_slot(to, n), records(layer), record_slot(from, n),
               copied_.forks);
  }
  return {};
}

bool RecurrentState::column_in_use(std::int32_t s, std::int64_t slot) const noexcept {
  const Text& t = text(s);
  const Kept &oldest = kept(s)[0], &newest = current(s);
  for (std::int64_t n = std::max(t.column_floor, oldest.column - tail(oldest.position));
       n < newest.column + newest.reach; ++n)
    if (column_slot(s, n) == slot) return true;
  return false;
}
bool RecurrentState::record_in_use(std::int32_t s, std::int64_t slot) const noexcept {
  const Text& t = text(s);
  for (std::int64_t n = std::max(t.record_floor, kept(s)[0].record);
       n < current(s).record + current(s).reach; ++n)
    if (record_slot(s, n) == slot) return true;
  return false;
}

}  // namespace kedge::inline KEDGE_ABI
