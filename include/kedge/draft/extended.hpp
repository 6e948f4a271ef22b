// Extended: the guesses of one drafter (a model, say) are continued by another that costs next to
// nothing (an n-gram). The second is told the guesses as if they were text, asked, and truncated
// again, so it must be able to truncate, as all n-gram drafters are.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/tap_columns.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Extended {
 public:
  struct Options {
    std::int64_t capacity = 31;  // guesses of the second at most
    Allocator allocator = default_allocator();
  };

  static Result<Extended> create(AnyDrafter primary, AnyDrafter extender,
                                 const Options& options) noexcept {
    if (!primary || !extender)
      return fail(Code::invalid_argument, "extended", "expected two drafters");
    if (!extender.truncates())
      return fail(Code::unsupported, "extended",
                  "%s cannot extend another's guesses: it does not truncate", extender.name());
    Extended extended;
    std::snprintf(extended.name_, sizeof name_, "%s>%s", primary.name(), extender.name());
    extended.parts_ = {std::move(primary), std::move(extender)};
    KEDGE_TRY(extended.more_, Draft::create({options.capacity, 0, options.allocator}));
    KEDGE_TRY(extended.taps_, TapColumns::create(extended.parts_, options.allocator));
    return extended;
  }
  static Result<Extended> create(AnyDrafter primary, AnyDrafter extender) noexcept {
    return create(std::move(primary), std::move(extender), Options{});
  }

  Status begin(std::span<const std::int32_t> tokens) {
    size_ = static_cast<std::int64_t>(tokens.size());
    own_ = 0;
    for (AnyDrafter& part : parts_) KEDGE_CHECK(part.begin(tokens));
    return {};
  }
  Status append(std::span<const std::int32_t> tokens) {
    for (AnyDrafter& part : parts_) KEDGE_CHECK(part.append(tokens));
    size_ += static_cast<std::int64_t>(tokens.size());
    return {};
  }
  Status truncate(std::int64_t count) {
    for (AnyDrafter& part : parts_) KEDGE_CHECK(part.truncate(count));
    size_ = std::min(size_, count);
    return {};
  }
  bool truncates() const noexcept { return parts_[0].truncates(); }

  Status propose(const Ask& ask, Draft& draft) {
    KEDGE_CHECK(parts_[0].propose(ask, draft));
    own_ = draft.size();
    if (!draft.chain() || own_ >= ask.count) return {};
    Ask rest = ask;
    rest.count = std::min(ask.count - own_, more_.capacity());
    rest.position = ask.position + own_;
    rest.tree = false;
    more_.clear();
    KEDGE_CHECK(parts_[1].append(draft.tokens()));
    const Status asked = parts_[1].propose(rest, more_);
    KEDGE_CHECK(parts_[1].truncate(size_));
    KEDGE_CHECK(asked);
    for (std::int64_t i = 0; i < more_.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      draft.push(more_.tokens()[at], more_.confidences()[at]);
    }
    return {};
  }
  // Each hears of its own guesses.
  void feedback(const Outcome& outcome) {
    const std::int64_t evaluated = std::min(outcome.evaluated, own_),
                       accepted = std::min(outcome.accepted, own_);
    parts_[0].feedback({outcome.asked, evaluated, accepted});
    parts_[1].feedback(
        {outcome.asked - own_, outcome.evaluated - evaluated, outcome.accepted - accepted});
  }
  const char* name() const noexcept { return name_; }

  std::span<const std::int32_t> taps() const noexcept { return taps_.taps(); }
  Status evaluated(std::int64_t position, const Tensor& features) {
    return taps_.pass_on(parts_, position, features);
  }

 private:
  std::array<AnyDrafter, 2> parts_;
  Draft more_;
  TapColumns taps_;
  std::int64_t size_ = 0;  // tokens of the text
  std::int64_t own_ = 0;   // guesses of the first drafter in the last proposal
  char name_[96] = {};
};

static_assert(Drafter<Extended> && Truncates<Extended> && ReadsFeatures<Extended>);

}  // namespace kedge::inline KEDGE_ABI::draft
