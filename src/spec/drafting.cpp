// What a session says to its drafter, and what it takes from it.
#include <algorithm>

#include "kedge/spec/session.hpp"
#include "kedge/verify/rejection.hpp"
#include "spec/walk.hpp"

namespace kedge::inline KEDGE_ABI {

// Brings the drafter's text to the session's. One that is new gets the prompt first and then what
// was generated, as if it had been there from the beginning.
Status Session::tell_drafter() noexcept {
  if (!drafter_) return {};
  if (!drafting_) {
    told_ = featured_ = 0;
    const auto taps = drafter_.taps(), ours = engine_->forward.taps();
    if (!taps.empty() && !std::equal(taps.begin(), taps.end(), ours.begin(), ours.end()))
      return fail(Code::invalid_argument, drafter_.name(),
                  "it reads %zu hidden states of the target (the first is %d), the session keeps "
                  "%zu: create it with the drafter's taps()",
                  taps.size(), taps[0], ours.size());
    told_ = std::min(prompt_, size_);
    KEDGE_CHECK(drafter_.begin(text().first(static_cast<std::size_t>(told_))));
  }
  const auto fresh = text().subspan(static_cast<std::size_t>(told_));
  drafting_ = false;  // unless it takes them
  if (!fresh.empty()) KEDGE_CHECK(drafter_.append(fresh));
  told_ = size_;
  drafting_ = true;
  return {};
}

// The text became its first `count` tokens.
void Session::cut_drafter() noexcept {
  if (!drafting_ || told_ <= size_) return;
  // A text that begins anew is a new one.
  drafting_ = size_ > 0 && drafter_.truncates() && drafter_.truncate(size_);
  told_ = size_;
  featured_ = std::min(featured_, size_);
}

// The hidden states of `count` committed rows from position `first` on; the first of them is row
// `row` of the last pass.
Status Session::show_drafter(std::int64_t first, std::int64_t row, std::int64_t count) noexcept {
  if (!drafting_ || drafter_.taps().empty()) return {};
  const std::int64_t skip = std::max<std::int64_t>(featured_ - first, 0);
  if (skip >= count || first > featured_) return {};
  const Tensor all = engine_->forward.features();
  const Tensor rows =
      tensor(all.row<std::byte>(row + skip), all.element, count - skip, all.width());
  if (const Status shown = drafter_.evaluated(first + skip, rows); !shown) {
    drafting_ = false;
    return shown;
  }
  featured_ = first + count;
  return {};
}

// A drafter that came late, or to a text that was loaded, has not seen the hidden states of what is
// evaluated: that is evaluated again, once, and counted (Stats::rerun_rows).
Status Session::show_text(const std::atomic<bool>* cancel) noexcept {
  if (drafter_.taps().empty() || featured_ >= sequence_.length()) return {};
  seen_ = std::max(seen_, sequence_.length());
  KEDGE_CHECK(sequence_.rewind(featured_));
  return catch_up(cancel);
}

Status Session::propose(std::int64_t count) noexcept {
  draft::Ask ask;
  ask.count = count;
  ask.share_noise = verification_ == Verification::coupled;
  ask.position = size_;
  ask.sampling = &sampler_.options();
  // A tree needs the state after each of its rows.
  ask.tree = ask.share_noise && sequence_.tree_rows() > ask.count;
  if (ask.count < 1) return {};
  KEDGE_CHECK(drafter_.propose(ask, draft_));
  if (draft_.size() > ask.count)
    return fail(Code::invalid_argument, drafter_.name(),
                "proposal: expected at most %lld tokens, found %lld",
                static_cast<long long>(ask.count), static_cast<long long>(draft_.size()));
  for (std::int64_t i = 0; i < draft_.size(); ++i)
    if (const std::int32_t parent = draft_.parents()[static_cast<std::size_t>(i)];
        parent < -1 || parent >= i)
      return fail(Code::invalid_argument, drafter_.name(),
                  "proposal: guess %lld stands behind %d, expected an earlier one or -1",
                  static_cast<long long>(i), parent);
  for (const std::int32_t token : draft_.tokens())
    if (token < 0 || token >= model().config().vocabulary)
      return fail(Code::invalid_argument, drafter_.name(), "proposal: token %d is not in 0..%lld",
                  token, static_cast<long long>(model().config().vocabulary - 1));
  if (!draft_.chain() && !ask.tree)
    return fail(Code::invalid_argument, drafter_.name(), "proposal: a tree, asked for a chain");
  if (!ask.share_noise)
    return verify::check_distributions(draft_, model().config().vocabulary, drafter_.name());
  return {};
}

// Cuts the draft where a constraint rules a guess out; behind an end token nothing follows. A guess
// that was drawn stays in all the same, for what is drawn in its place is only then distributed as
// it should be: the target offers it no chance.
void Session::constrain_draft(std::span<const std::int32_t> end_tokens) noexcept {
  if (!constraint_) return;
  const auto tokens = draft_.tokens(), parents = draft_.parents();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::int32_t token = tokens[i], parent = parents[i];
    const ConstraintState before =
        parent < 0 ? state_ : guess_states_[static_cast<std::size_t>(parent)];
    const bool ends = spec::contains(end_tokens, token);
    const bool allowed = ends ? constraint_.accepts_end(before) : constraint_.allows(before, token);
    if (!allowed || ends) {
      const bool stays = allowed || verification_ != Verification::coupled;
      return draft_.cut(static_cast<std::int64_t>(i) + (stays ? 1 : 0));
    }
    guess_states_[i] = constraint_.advance(before, token);
  }
}

}  // namespace kedge::inline KEDGE_ABI
