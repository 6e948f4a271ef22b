// A recurrent state as bytes: of every layer the columns before the position, oldest first, then of
// every layer the state. Records are replayed here, in the order and with the roundings of
// op/gated_delta.hpp, so that a file does not depend on the policy that it was written under.
#include <cmath>
#include <cstring>

#include "kedge/core/hash.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/op/gated_delta.hpp"
#include "kedge/state/recurrent_state.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

void replay(const RecurrentShape& s, const float* record, float* plane) noexcept {
  const float* decay = record + s.key_heads * s.key_dim;
  const float* deltas = decay + s.value_heads * (s.channel_decay ? s.key_dim : 1);
  const op::DeltaLayout layout{s.key_dim, s.value_dim};
  const std::int64_t ratio = s.value_heads / s.key_heads;
  for (std::int64_t h = 0; h < s.value_heads; ++h) {
    const float* keys = record + (s.grouped ? h / ratio : h % s.key_heads) * s.key_dim;
    const float* delta = deltas + h * s.value_dim;
    float* state = plane + h * s.key_dim * s.value_dim;
    for (std::int64_t i = 0; i < s.key_dim; ++i) {
      const float e = s.channel_decay ? decay[h * s.key_dim + i] : decay[h];
      for (std::int64_t j = 0; j < s.value_dim; ++j) {
        float& value = state[layout.index(i, j)];
        value = std::fma(keys[i], delta[j], e * value);
      }
    }
  }
}

}  // namespace

std::uint64_t RecurrentState::saved_bytes(std::int64_t position) const noexcept {
  if (position == 0) return 0;
  return static_cast<std::uint64_t>(tail(position)) * shape_.column_bytes() + shape_.plane_bytes();
}

Status RecurrentState::save(std::int32_t s, io::Sink& sink, Hash& digest) const noexcept {
  const Kept& e = current(s);
  const std::int64_t at = e.position + e.reach;
  if (at == 0) return {};
  const auto write = [&](const float* values, std::int64_t count) {
    const auto bytes = std::as_bytes(std::span(values, static_cast<std::size_t>(count)));
    digest.add(bytes);
    return sink.write(bytes);
  };
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer)
    for (std::int64_t back = tail(at); back > 0; --back)
      KEDGE_CHECK(write(window(layer).row<float>(column_slot(s, e.column + e.reach - back)),
                        shape_.column_width()));
  const std::int64_t width = shape_.plane_width();
  KEDGE_TRY(const Buffer plane, Buffer::create(static_cast<std::size_t>(width) * sizeof(float),
                                               "recurrent state", allocator_));
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer) {
    if (e.plane < 0) std::memset(plane.data(), 0, plane.size());
    else std::memcpy(plane.data(), state(layer).row<float>(e.plane), plane.size());
    for (std::int64_t n = 0; n < e.reach; ++n)
      replay(shape_, records(layer).row<float>(record_slot(s, e.record + n)), plane.as<float>());
    KEDGE_CHECK(write(plane.as<float>(), width));
  }
  return {};
}

Result<Buffer> RecurrentState::read(const io::Source& source, std::uint64_t offset,
                                    std::int64_t position, Hash& digest) const noexcept {
  const std::uint64_t bytes = saved_bytes(position);
  // A file that is cut short is known before memory is taken.
  if (offset > source.size() || bytes > source.size() - offset)
    return fail(
        Code::malformed, source.name(),
        "saved sequence: expected %llu bytes of recurrent state, found %llu",
        static_cast<unsigned long long>(bytes),
        static_cast<unsigned long long>(offset > source.size() ? 0 : source.size() - offset));
  KEDGE_TRY(Buffer saved, Buffer::create(bytes, "recurrent state", allocator_));
  KEDGE_CHECK(source.read(offset, {saved.data(), saved.size()}));
  digest.add({saved.data(), saved.size()});
  return saved;
}

void RecurrentState::adopt(std::int32_t s, std::int64_t position, const Buffer& saved) noexcept {
  Text& t = text(s);
  while (t.landmarks > 0) drop_landmark(s, t.landmarks - 1);
  while (t.kept > 0) give_back(kept(s)[--t.kept].plane);
  start(s);
  if (position == 0) return;
  current(s) = {position, tail(position), 0, take(), 0};
  const float* from = saved.as<float>();
  const auto read_row = [&](const Tensor& to, std::int64_t row) {
    std::memcpy(to.row<float>(row), from, static_cast<std::size_t>(to.width()) * sizeof(float));
    from += to.width();
  };
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer)
    for (std::int64_t n = 0; n < tail(position); ++n) read_row(window(layer), column_slot(s, n));
  for (std::int64_t layer = 0; layer < shape_.layers; ++layer)
    read_row(state(layer), current(s).plane);
}

}  // namespace kedge::inline KEDGE_ABI
