// TapColumns: hidden states for several drafters at once. The target is asked for every tap that
// one of them reads, once; each drafter gets the columns of its own taps, in its own order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/core/tensor.hpp"
#include "kedge/draft/drafter.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class TapColumns {
 public:
  static Result<TapColumns> create(std::span<AnyDrafter> members,
                                   const Allocator& allocator = default_allocator()) noexcept {
    TapColumns columns;
    columns.allocator_ = allocator;
    std::size_t most = 0;
    for (const AnyDrafter& member : members) most += member.taps().size();
    KEDGE_TRY(columns.memory_, Buffer::create(most * sizeof(std::int32_t), "taps", allocator));
    for (const AnyDrafter& member : members)
      for (const std::int32_t tap : member.taps()) {
        if (columns.find(tap) >= 0) continue;
        columns.memory_.as<std::int32_t>()[columns.count_++] = tap;
      }
    return columns;
  }

  // All of them, each once.
  std::span<const std::int32_t> taps() const noexcept {
    return {memory_.as<const std::int32_t>(), count_};
  }

  Status pass_on(std::span<AnyDrafter> members, std::int64_t position, const Tensor& features) {
    for (AnyDrafter& member : members) {
      const auto own = member.taps();
      if (own.empty()) continue;
      if (std::equal(own.begin(), own.end(), taps().begin(), taps().end())) {
        KEDGE_CHECK(member.evaluated(position, features));
        continue;
      }
      KEDGE_CHECK(gather(member, position, features));
    }
    return {};
  }

 private:
  // Rows go on in blocks of this many, so that the copy has a size which no pass exceeds.
  static constexpr std::int64_t block_rows = 16;

  std::int64_t find(std::int32_t tap) const noexcept {
    const auto all = taps();
    const auto at = std::find(all.begin(), all.end(), tap);
    return at == all.end() ? -1 : at - all.begin();
  }

  Status gather(AnyDrafter& member, std::int64_t position, const Tensor& features) {
    const std::int64_t width = features.width() / static_cast<std::int64_t>(count_);
    const auto row_bytes = static_cast<std::size_t>(width) * sizeof(float);
    const std::size_t needed = count_ * row_bytes * static_cast<std::size_t>(block_rows);
    // The width is the model's, so this happens at the first rows and never again.
    if (block_.size() < needed) {
      KEDGE_TRY(block_, Buffer::create(needed, "hidden states for a drafter", allocator_));
    }
    const auto own = member.taps();
    for (std::int64_t first = 0; first < features.rows(); first += block_rows) {
      const std::int64_t rows = std::min(block_rows, features.rows() - first);
      const Tensor part =
          tensor(block_.data(), Element::f32, rows, width * static_cast<std::int64_t>(own.size()));
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::size_t t = 0; t < own.size(); ++t)
          std::memcpy(part.row<float>(r) + static_cast<std::int64_t>(t) * width,
                      features.row<float>(first + r) + find(own[t]) * width, row_bytes);
      KEDGE_CHECK(member.evaluated(position + first, part));
    }
    return {};
  }

  Allocator allocator_ = default_allocator();
  Buffer memory_, block_;
  std::size_t count_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::draft
