// FeatureText: what a drafter that reads hidden states knows of its text: the tokens, how many
// positions it has absorbed into a state of its own, and the hidden states of the next ones, which
// wait. Undo is three numbers. Private to the compiled library.
#pragma once

#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class FeatureText {
 public:
  // `waiting`, f32 [room, width], is memory of the caller's. `name` goes into errors.
  static Result<FeatureText> create(const char* name, std::int64_t positions, const Tensor& waiting,
                                    const Allocator& allocator) noexcept;

  Status begin(std::span<const std::int32_t> tokens) noexcept;
  Status append(std::span<const std::int32_t> tokens) noexcept;
  void truncate(std::int64_t count) noexcept;

  std::int64_t size() const noexcept { return size_; }
  std::int32_t token(std::int64_t position) const noexcept {
    return tokens_.as<std::int32_t>()[position];
  }
  std::span<const std::int32_t> tokens() const noexcept {
    return {tokens_.as<std::int32_t>(), static_cast<std::size_t>(size_)};
  }
  std::int64_t absorbed() const noexcept { return absorbed_; }
  std::int64_t waiting() const noexcept { return waiting_; }
  bool full() const noexcept { return waiting_ == rows_.rows(); }

  // Takes in hidden states of positions from `position` on, as many as fit; returns how many.
  Result<std::int64_t> take(std::int64_t position, const Tensor& features,
                            std::int64_t from) noexcept;
  // The first `count` waiting rows became state; the others move to the front.
  void absorb(std::int64_t count) noexcept;
  // Nothing from this position on is known.
  void forget_from(std::int64_t position) noexcept;
  // Error: the hidden states before `end` are not all known.
  Status expect_known(std::int64_t end) const noexcept;

 private:
  const char* name_ = "";
  std::int64_t positions_ = 0;
  Buffer tokens_;
  Tensor rows_;
  std::int64_t size_ = 0, absorbed_ = 0, waiting_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::draft
