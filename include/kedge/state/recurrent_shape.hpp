// RecurrentShape: what the recurrent layers of a model keep per sequence. Plain data, part of a
// model's configuration.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

// Of gated delta layers with a short convolution before them (op/gated_delta.hpp,
// op/conv_state.hpp).
struct RecurrentShape {
  std::int64_t layers = 0;  // that are recurrent; 0: the model has none, the rest says nothing
  std::int64_t key_heads = 0, value_heads = 0;
  std::int64_t key_dim = 0, value_dim = 0;
  bool channel_decay = false;   // one decay per key channel, not per head
  bool grouped = false;         // value head h has key head h / r, not h % key_heads
  std::int64_t channels = 0;    // of the convolution
  std::int64_t conv_width = 0;  // its taps: conv_width - 1 columns before a row take part

  constexpr bool empty() const noexcept { return layers == 0; }

  // f32 values of one layer: of a plane, of a record, of a column.
  constexpr std::int64_t plane_width() const noexcept { return value_heads * key_dim * value_dim; }
  constexpr std::int64_t record_width() const noexcept {
    return key_heads * key_dim + value_heads * (channel_decay ? key_dim : 1) +
           value_heads * value_dim;
  }
  constexpr std::int64_t column_width() const noexcept { return channels; }

  // Bytes over all layers.
  constexpr std::uint64_t plane_bytes() const noexcept { return bytes(plane_width()); }
  constexpr std::uint64_t record_bytes() const noexcept { return bytes(record_width()); }
  constexpr std::uint64_t column_bytes() const noexcept { return bytes(column_width()); }

  friend constexpr bool operator==(const RecurrentShape&, const RecurrentShape&) noexcept = default;

 private:
  constexpr std::uint64_t bytes(std::int64_t width) const noexcept {
    return static_cast<std::uint64_t>(layers * width) * sizeof(float);
  }
};

}  // namespace kedge::inline KEDGE_ABI
