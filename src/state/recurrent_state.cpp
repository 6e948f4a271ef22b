// Memory, planes and sequences. Passes: recurrent_pass.cpp; what goes back, forks and stays:
// recurrent_undo.cpp.
#include "kedge/state/recurrent_state.hpp"

#include <algorithm>

#include "kedge/backend/accelerator.hpp"
#include "kedge/op/conv_state.hpp"
#include "kedge/op/gated_delta.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr const char* place = "recurrent state";

long long number(std::int64_t n) noexcept { return static_cast<long long>(n); }

Status check_shape(const RecurrentShape& s) noexcept {
  if (s.layers < 1 || s.layers > 4096)
    return fail(Code::invalid_argument, place, "layers: expected 1..4096, found %lld",
                number(s.layers));
  if (s.key_heads < 1 || s.value_heads < s.key_heads || s.value_heads > 65536 ||
      s.value_heads % s.key_heads != 0)
    return fail(Code::invalid_argument, place,
                "value heads: expected a multiple of the %lld key heads, found %lld",
                number(s.key_heads), number(s.value_heads));
  constexpr std::int64_t most = op::GatedDelta::max_dim;
  if (s.key_dim < 1 || s.key_dim > most || s.value_dim < 1 || s.value_dim > most)
    return fail(Code::unsupported, place,
                "size of keys and values: expected 1..%lld, found %lld and %lld", number(most),
                number(s.key_dim), number(s.value_dim));
  if (s.conv_width < op::ConvState::min_taps || s.conv_width > op::ConvState::max_taps)
    return fail(Code::unsupported, place, "convolution width: expected %lld..%lld, found %lld",
                number(op::ConvState::min_taps), number(op::ConvState::max_taps),
                number(s.conv_width));
  if (s.channels < 1 || s.channels > (std::int64_t{1} << 26))
    return fail(Code::invalid_argument, place, "channels: expected 1..2^26, found %lld",
                number(s.channels));
  return {};
}

std::int64_t plane_count(const RecurrentState::Options& o) noexcept {
  return o.policy.planes() * o.sequences + o.landmarks;
}
// Of one layer. A device's kernels want each layer to begin where a binding may.
std::uint64_t part_bytes(std::int64_t rows, std::int64_t width, bool device) noexcept {
  const std::uint64_t bytes = static_cast<std::uint64_t>(rows * width) * sizeof(float);
  return device ? (bytes + device_alignment - 1) / device_alignment * device_alignment : bytes;
}
std::uint64_t times(std::int64_t n, std::uint64_t bytes) noexcept {
  return static_cast<std::uint64_t>(n) * bytes;
}

}  // namespace

std::uint64_t RecurrentState::bytes_needed(const RecurrentShape& shape,
                                           const Options& options) noexcept {
  if (shape.empty()) return 0;
  const RecurrentPolicy& policy = options.policy;
  const bool device = options.storage.allocate != nullptr;
  return times(shape.layers, part_bytes(plane_count(options), shape.plane_width(), device) +
                                 part_bytes(policy.record_slots() * options.sequences,
                                            shape.record_width(), device) +
                                 part_bytes(policy.window_slots(shape) * options.sequences,
                                            shape.column_width(), device)) +
         times(options.landmarks * (shape.conv_width - 1), shape.column_bytes());
}

Result<RecurrentState> RecurrentState::outline(const RecurrentShape& shape,
                                               const Options& options) noexcept {
  KEDGE_CHECK(check_shape(shape));
  const RecurrentPolicy& policy = options.policy;
  const std::int64_t deepest =
      policy.kind == RecurrentPolicy::Kind::checkpoint ? 1 : RecurrentPolicy::max_depth;
  if (policy.depth < 1 || policy.depth > deepest)
    return fail(Code::invalid_argument, place, "depth of %s: expected 1..%lld, found %lld",
                to_string(policy.kind), number(deepest), number(policy.depth));
  if (options.sequences < 1 || options.sequences > 4096 || options.landmarks < 0 ||
      options.landmarks > 65536)
    return fail(Code::invalid_argument, place,
                "expected 1..4096 sequences and 0..65536 landmarks, found %lld and %lld",
                number(options.sequences), number(options.landmarks));
  const std::int64_t planes = plane_count(options);
  if (static_cast<double>(planes) * static_cast<double>(shape.plane_bytes()) > 0x1p60)
    return fail(Code::out_of_memory, place, "%lld planes of %llu bytes", number(planes),
                static_cast<unsigned long long>(shape.plane_bytes()));
  RecurrentState r;
  r.shape_ = shape;
  r.policy_ = policy;
  r.allocator_ = options.allocator;
  r.device_ = options.storage.allocate != nullptr;
  r.sequences_ = options.sequences;
  r.landmark_room_ = options.landmarks;
  r.planes_ = planes;
  r.outline_ = true;
  // What its tensors point to; nobody reads it.
  KEDGE_TRY(r.state_, Buffer::create(Buffer::alignment, place, options.allocator));
  return r;
}

Result<RecurrentState> RecurrentState::create(const RecurrentShape& shape,
                                              const Options& options) noexcept {
  KEDGE_TRY(RecurrentState r, outline(shape, options));
  r.outline_ = false;
  const RecurrentPolicy& policy = options.policy;
  const auto room = [&](Buffer& buffer, std::int64_t count, std::uint64_t size) -> Status {
    KEDGE_TRY(buffer, Buffer::create(times(count, size), place, options.allocator));
    return {};
  };
  const auto parts = [&](Buffer& buffer, std::int64_t rows, std::int64_t width) -> Status {
    KEDGE_TRY(buffer, Buffer::create(times(shape.layers, part_bytes(rows, width, r.device_)), place,
                                     r.device_ ? options.storage : options.allocator));
    return {};
  };
  KEDGE_CHECK(parts(r.state_, r.planes_, shape.plane_width()));
  KEDGE_CHECK(parts(r.records_, r.record_slots() * r.sequences_, shape.record_width()));
  KEDGE_CHECK(parts(r.window_, r.window_slots() * r.sequences_, shape.column_width()));
  KEDGE_CHECK(
      room(r.landmark_columns_, r.landmark_room_ * (shape.conv_width - 1), shape.column_bytes()));
  KEDGE_CHECK(room(r.texts_, r.sequences_, sizeof(Text)));
  KEDGE_CHECK(room(r.kept_, r.sequences_ * policy.planes(), sizeof(Kept)));
  KEDGE_CHECK(room(r.pass_planes_, r.sequences_ * policy.depth, sizeof(std::int32_t)));
  KEDGE_CHECK(room(r.landmarks_, r.landmark_room_, sizeof(Landmark)));
  KEDGE_CHECK(room(r.landmark_lists_, r.landmark_room_ * r.sequences_, sizeof(std::int32_t)));
  KEDGE_CHECK(room(r.free_, r.planes_, sizeof(std::int32_t)));
  KEDGE_CHECK(room(r.shares_, r.planes_, sizeof(std::int32_t)));
  for (std::int64_t s = 0; s < r.sequences_; ++s) r.text(static_cast<std::int32_t>(s)) = {};
  for (std::int64_t l = 0; l < r.landmark_room_; ++l) r.mark_of(static_cast<std::int32_t>(l)) = {};
  for (std::int64_t p = 0; p < r.planes_; ++p) {  // plane 0 on top
    r.free_.as<std::int32_t>()[p] = static_cast<std::int32_t>(r.planes_ - 1 - p);
    r.shares_.as<std::int32_t>()[p] = 0;
  }
  r.free_count_ = r.planes_;
  return r;
}

Tensor RecurrentState::part(const Buffer& memory, std::int64_t layer, std::int64_t rows,
                            std::int64_t width) const noexcept {
  if (rows == 0) return {};
  if (outline_) return tensor(state_.data(), Element::f32, rows, width);
  return tensor(memory.data() + static_cast<std::size_t>(layer) * part_bytes(rows, width, device_),
                Element::f32, rows, width);
}
Tensor RecurrentState::state(std::int64_t layer) const noexcept {
  return part(state_, layer, planes_, shape_.plane_width());
}
Tensor RecurrentState::records(std::int64_t layer) const noexcept {
  return part(records_, layer, sequences_ * record_slots(), shape_.record_width());
}
Tensor RecurrentState::window(std::int64_t layer) const noexcept {
  return part(window_, layer, sequences_ * window_slots(), shape_.column_width());
}

std::int32_t RecurrentState::take() noexcept {
  const std::int32_t plane = free_.as<std::int32_t>()[--free_count_];
  shares_.as<std::int32_t>()[plane] = 1;
  return plane;
}
void RecurrentState::give_back(std::int32_t plane) noexcept {
  if (plane >= 0 && --shares_.as<std::int32_t>()[plane] == 0)
    free_.as<std::int32_t>()[free_count_++] = plane;
}

std::int32_t RecurrentState::column_slot(std::int32_t s, std::int64_t n) const noexcept {
  const std::int64_t slots = window_slots();
  return static_cast<std::int32_t>(s * slots + n % slots);
}
std::int32_t RecurrentState::record_slot(std::int32_t s, std::int64_t n) const noexcept {
  const std::int64_t slots = record_slots();
  return static_cast<std::int32_t>(s * slots + n % slots);
}

// Position 0, where the state is zeros, which need no plane.
void RecurrentState::start(std::int32_t s) noexcept {
  Text& t = text(s);
  t.kept = 1;
  t.column_floor = t.record_floor = 0;
  current(s) = {0, 0, 0, -1, 0};
}

Status RecurrentState::claim(std::int32_t s) noexcept {
  if (s < 0 || s >= sequences_)
    return fail(Code::invalid_argument, place, "sequence %d: there are %lld", s,
                number(sequences_));
  if (text(s).claimed) return fail(Code::busy, place, "sequence %d is in use", s);
  text(s) = {};
  text(s).claimed = true;
  start(s);
  return {};
}

void RecurrentState::release(std::int32_t s) noexcept {
  abandon(s);
  Text& t = text(s);
  while (t.landmarks > 0) drop_landmark(s, t.landmarks - 1);
  while (t.kept > 0) give_back(kept(s)[--t.kept].plane);
  t.claimed = false;
}

Status RecurrentState::expect_idle(std::int32_t s) const noexcept {
  if (s < 0 || s >= sequences_ || !text(s).claimed)
    return fail(Code::invalid_argument, place, "sequence %d is not in use", s);
  if (text(s).open) return fail(Code::busy, place, "sequence %d: a pass is open", s);
  return {};
}

std::int64_t RecurrentState::position(std::int32_t s) const noexcept {
  return current(s).position + current(s).reach;
}

}  // namespace kedge::inline KEDGE_ABI
