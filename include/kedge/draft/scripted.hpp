// A drafter that proposes what it is told: for tests and for `kedge check`, which force every pair
// of (proposed, accepted) through a session.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kedge/draft/drafter.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Scripted {
 public:
  // Knows the true continuation; each proposal has `proposed` tokens of which the first `correct`
  // are true and the next is wrong. The pairs are used in turn.
  struct Step {
    std::int64_t proposed = 0, correct = 0;
  };
  Scripted(std::vector<std::int32_t> truth, std::vector<Step> steps, std::int32_t vocabulary)
      : truth_(std::move(truth)), steps_(std::move(steps)), vocabulary_(vocabulary) {}

  Status begin(std::span<const std::int32_t>) noexcept {
    position_ = -1;
    return {};
  }
  // The truth begins with the first token after the prompt, the first one appended.
  Status append(std::span<const std::int32_t> tokens) noexcept {
    position_ += static_cast<std::int64_t>(tokens.size());
    return {};
  }
  Status propose(const Ask& ask, Draft& draft) noexcept {
    if (steps_.empty()) return {};
    const Step step = steps_[turn_++ % steps_.size()];
    const auto left = static_cast<std::int64_t>(truth_.size()) - position_ - 1;
    const std::int64_t count = std::min({step.proposed, ask.count, left});
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t truth = truth_[static_cast<std::size_t>(position_ + 1 + i)];
      draft.push(i < step.correct ? truth : (truth + 1) % vocabulary_);
    }
    return {};
  }
  void feedback(const Outcome&) noexcept {}
  const char* name() const noexcept { return "scripted"; }

 private:
  std::vector<std::int32_t> truth_;
  std::vector<Step> steps_;
  std::int32_t vocabulary_;
  std::int64_t position_ = -1;
  std::size_t turn_ = 0;
};

static_assert(Drafter<Scripted>);

}  // namespace kedge::inline KEDGE_ABI::draft
