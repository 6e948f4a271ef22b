#include "draft/feature_text.hpp"

#include <algorithm>
#include <cstring>

namespace kedge::inline KEDGE_ABI::draft {

namespace {
long long number(std::int64_t n) { return static_cast<long long>(n); }
}  // namespace

Result<FeatureText> FeatureText::create(const char* name, std::int64_t positions,
                                        const Tensor& waiting,
                                        const Allocator& allocator) noexcept {
  FeatureText text;
  text.name_ = name;
  text.positions_ = positions;
  text.rows_ = waiting;
  // The newest token has no position in any state yet.
  KEDGE_TRY(text.tokens_,
            Buffer::create(static_cast<std::size_t>(positions + 1) * sizeof(std::int32_t), name,
                           allocator));
  return text;
}

Status FeatureText::begin(std::span<const std::int32_t> tokens) noexcept {
  size_ = absorbed_ = waiting_ = 0;
  return append(tokens);
}

Status FeatureText::append(std::span<const std::int32_t> tokens) noexcept {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (size_ + count > positions_ + 1)
    return fail(Code::out_of_memory, name_, "the text may have %lld tokens, asked for %lld",
                number(positions_ + 1), number(size_ + count));
  std::copy(tokens.begin(), tokens.end(), tokens_.as<std::int32_t>() + size_);
  size_ += count;
  return {};
}

void FeatureText::truncate(std::int64_t count) noexcept {
  size_ = std::min(size_, std::max<std::int64_t>(count, 0));
  forget_from(size_);
}

void FeatureText::forget_from(std::int64_t position) noexcept {
  const std::int64_t known = std::min(absorbed_ + waiting_, position);
  absorbed_ = std::min(absorbed_, position);
  waiting_ = known - absorbed_;
}

Result<std::int64_t> FeatureText::take(std::int64_t position, const Tensor& features,
                                       std::int64_t from) noexcept {
  if (features.element != Element::f32 || features.width() != rows_.width())
    return fail(Code::invalid_argument, name_,
                "hidden states: expected f32 of width %lld (taps x width), found %s of %lld",
                number(rows_.width()), to_string(features.element), number(features.width()));
  position += from;
  if (position > absorbed_ + waiting_)
    return fail(Code::invalid_argument, name_,
                "hidden states: expected those from position %lld on, found %lld",
                number(absorbed_ + waiting_), number(position));
  forget_from(position);
  const std::int64_t count = std::min(features.rows() - from, rows_.rows() - waiting_);
  if (count > 0)
    std::memcpy(rows_.row<float>(waiting_), features.row<float>(from),
                static_cast<std::size_t>(count * rows_.width()) * sizeof(float));
  waiting_ += count;
  return count;
}

void FeatureText::absorb(std::int64_t count) noexcept {
  absorbed_ += count;
  waiting_ -= count;
  if (waiting_ > 0)
    std::memmove(rows_.row<float>(0), rows_.row<float>(count),
                 static_cast<std::size_t>(waiting_ * rows_.width()) * sizeof(float));
}

Status FeatureText::expect_known(std::int64_t end) const noexcept {
  if (absorbed_ + waiting_ >= end) return {};
  return fail(Code::invalid_argument, name_,
              "hidden states of positions %lld..%lld of the target are missing",
              number(absorbed_ + waiting_), number(end - 1));
}

}  // namespace kedge::inline KEDGE_ABI::draft
