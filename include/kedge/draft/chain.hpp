// Chain: several drafters of which the first that proposes something wins the round. All are told
// the text; only the winner is told what became of its draft, and Draft::source says which it was.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/tap_columns.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Chain {
 public:
  static constexpr std::size_t most = 8;  // members

  // Takes the members, in the order in which they are asked.
  static Result<Chain> create(std::span<AnyDrafter> members,
                              const Allocator& allocator = default_allocator()) noexcept {
    if (members.empty() || members.size() > most)
      return fail(Code::invalid_argument, "chain", "members: expected 1..%zu, found %zu", most,
                  members.size());
    Chain chain;
    std::size_t length = 0;
    for (AnyDrafter& member : members) {
      if (!member) return fail(Code::invalid_argument, "chain", "a member is no drafter");
      const int written = std::snprintf(chain.name_ + length, sizeof name_ - length, "%s%s",
                                        length == 0 ? "" : "+", member.name());
      length = std::min(sizeof name_ - 1, length + static_cast<std::size_t>(std::max(written, 0)));
      chain.members_[chain.count_++] = std::move(member);
    }
    KEDGE_TRY(chain.taps_, TapColumns::create(chain.members(), allocator));
    return chain;
  }

  Status begin(std::span<const std::int32_t> tokens) {
    winner_ = -1;
    asked_ = false;
    for (AnyDrafter& member : members()) KEDGE_CHECK(member.begin(tokens));
    return {};
  }
  Status append(std::span<const std::int32_t> tokens) {
    for (AnyDrafter& member : members()) KEDGE_CHECK(member.append(tokens));
    return {};
  }
  Status propose(const Ask& ask, Draft& draft) {
    winner_ = -1;
    Ask nothing = ask;
    nothing.count = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      // In the first round all are asked, for nothing where one has proposed already: what they
      // take for this way of sampling they take now.
      if (winner_ < 0) KEDGE_CHECK(members_[i].propose(ask, draft));
      else if (!asked_) KEDGE_CHECK(members_[i].propose(nothing, draft));
      if (winner_ < 0 && draft.size() > 0) winner_ = static_cast<std::int32_t>(i);
    }
    asked_ = true;
    draft.source = std::max(winner_, 0);
    return {};
  }
  void feedback(const Outcome& outcome) {
    if (winner_ >= 0) members_[static_cast<std::size_t>(winner_)].feedback(outcome);
  }
  const char* name() const noexcept { return name_; }

  bool truncates() const noexcept {
    bool all = true;
    for (const AnyDrafter& member : members()) all = all && member.truncates();
    return all;
  }
  Status truncate(std::int64_t count) {
    for (AnyDrafter& member : members()) KEDGE_CHECK(member.truncate(count));
    return {};
  }
  std::span<const std::int32_t> taps() const noexcept { return taps_.taps(); }
  Status evaluated(std::int64_t position, const Tensor& features) {
    return taps_.pass_on(members(), position, features);
  }

 private:
  std::span<AnyDrafter> members() noexcept { return {members_.data(), count_}; }
  std::span<const AnyDrafter> members() const noexcept { return {members_.data(), count_}; }

  std::array<AnyDrafter, most> members_;
  std::size_t count_ = 0;
  std::int32_t winner_ = -1;  // of the last proposal
  bool asked_ = false;        // all of them, since begin()
  TapColumns taps_;
  char name_[96] = {};
};

static_assert(Drafter<Chain> && Truncates<Chain> && ReadsFeatures<Chain>);

}  // namespace kedge::inline KEDGE_ABI::draft
