// One round: draft, evaluate, verify, commit.
#include <algorithm>

#include "kedge/sample/softmax.hpp"
#include "kedge/spec/session.hpp"
#include "spec/timer.hpp"
#include "spec/walk.hpp"

namespace kedge::inline KEDGE_ABI {

// The prompt first, then what was generated, as if the drafter had been there from the beginning.
Status Session::tell_drafter() noexcept {
  drafting_ = false;
  const auto prompt = static_cast<std::size_t>(std::min(prompt_, size_));
  KEDGE_CHECK(drafter_.begin(text().first(prompt)));
  KEDGE_CHECK(drafter_.append(text().subspan(prompt)));
  drafting_ = true;
  return {};
}

Status Session::propose(std::int64_t most) noexcept {
  draft::Ask ask;
  ask.count = most;
  ask.position = size_;
  ask.sampling = &sampler_.options();
  KEDGE_CHECK(drafter_.propose(ask, draft_));
  if (draft_.size() > most)
    return fail(Code::invalid_argument, drafter_.name(),
                "proposal: expected at most %lld tokens, found %lld", static_cast<long long>(most),
                static_cast<long long>(draft_.size()));
  if (!draft_.chain())
    return fail(Code::invalid_argument, drafter_.name(), "proposal: a tree, asked for a chain");
  return {};
}

// How many of the drafts a constraint does not rule out. Behind an end token nothing follows.
std::int64_t Session::allowed_drafts(std::span<const std::int32_t> drafts,
                                     std::span<const std::int32_t> end_tokens) const noexcept {
  if (!constraint_) return static_cast<std::int64_t>(drafts.size());
  ConstraintState state = state_;
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    const std::int32_t token = drafts[i];
    // The pass says what is wrong with a token that does not exist.
    if (token < 0 || token >= model().config().vocabulary) break;
    if (spec::contains(end_tokens, token))
      return static_cast<std::int64_t>(constraint_.accepts_end(state) ? i + 1 : i);
    if (!constraint_.allows(state, token)) return static_cast<std::int64_t>(i);
    state = constraint_.advance(state, token);
  }
  return static_cast<std::int64_t>(drafts.size());
}

verify::Chosen Session::choose(Walk& walk, std::int64_t row) noexcept {
  const auto i = static_cast<std::size_t>(row);
  const auto failed = [&](const Error& error) {
    walk.error = error;
    return verify::Chosen{0, false, true};
  };
  const Forward& forward = engine_->forward;
  if (const Status finite = forward.finite(row); !finite) return failed(finite.error());
  Sampler::Draw draw;
  draw.logits = forward.logits(row);
  draw.largest = forward.choice(row);
  draw.position = size_ + row;
  draw.text = text();
  draw.drafts = walk.drafts.first(i);
  if (constraint_) {
    constraint_.mask(walk.state, allowed_);
    const bool may_end = constraint_.accepts_end(walk.state);
    for (const std::int32_t end : walk.end_tokens) {
      if (end < 0 || end >= model().config().vocabulary) continue;
      const std::uint32_t bit = 1u << (end & 31);
      std::uint32_t& word = allowed_[static_cast<std::size_t>(end / 32)];
      word = may_end ? word | bit : word & ~bit;
    }
    draw.allowed = allowed_;
  } else {
    const Forward::Top top = forward.top(row);
    draw.top_ids = top.tokens;
    draw.top_logits = top.logits;
  }
  const Result<std::int32_t> token = sampler_.choose(draw);
  if (!token) return failed(token.error());
  tokens_[i] = *token;
  if (alternatives_ >= 0) {
    const auto count = static_cast<std::size_t>(alternatives_);
    logprobs_[i] =
        log_probability(options_.isa, draw.logits, *token,
                        best_.subspan(i * static_cast<std::size_t>(max_alternatives), count));
  }
  const bool end = spec::contains(walk.end_tokens, *token);
  if (constraint_ && !end) walk.state = constraint_.advance(walk.state, *token);
  if (walk.stop.push != nullptr && walk.stop.push(walk.stop.context, *token))
    walk.reason = StopReason::stop_text;
  if (end) walk.reason = StopReason::end_token;
  return {*token, walk.reason != StopReason::none};
}

Result<Session::Round> Session::round(const RoundOptions& options) noexcept {
  if (size_ == sequence_.length())
    return fail(Code::invalid_argument, "session", "round before begin");
  spec::Timer timer;
  if (sequence_.length() + 1 < size_) {
    KEDGE_CHECK(catch_up(options.cancel));
    stats_.prefill_ms += timer.lap_ms();
  }
  const std::int64_t room = context() - sequence_.length();
  Round result;
  if (room < 1 || options.limit < 1) {
    result.stop = room < 1 ? StopReason::context_full : StopReason::token_limit;
    return result;
  }

  // 1. Draft. The pass yields one token more than the drafts that hold.
  const std::int64_t most = std::min({options_.max_draft, options.limit - 1, room - 1});
  if (drafter_ && !drafting_) KEDGE_CHECK(tell_drafter());
  draft_.clear();
  if (drafter_ && most > 0) KEDGE_CHECK(propose(most));
  const std::int64_t proposed = draft_.size();
  draft_.cut(allowed_drafts(draft_.tokens(), options.end_tokens));
  const std::span<const std::int32_t> drafts = draft_.tokens();
  const std::int64_t count = draft_.size();
  const double draft_ms = timer.lap_ms();

  // 2. One pass over the newest token and the drafts.
  KEDGE_TRY(Transaction transaction, sequence_.begin(1 + count));
  const auto first = static_cast<std::int32_t>(transaction.first_position());
  for (std::int64_t i = 0; i <= count; ++i)
    rows_[static_cast<std::size_t>(i)] = {
        i == 0 ? text().back() : drafts[static_cast<std::size_t>(i - 1)],
        first + static_cast<std::int32_t>(i), sequence_.index(), need()};
  KEDGE_CHECK(engine_->forward.evaluate(rows_.first(static_cast<std::size_t>(count + 1)),
                                        {sampler_.needs_top(), options.cancel}));
  const double target_ms = timer.lap_ms();

  // 3. Verify: the drafts that the target draws too, then its own token, up to what ends the text.
  const bool may_fail = !transaction.can_commit(1) && options.stop.mark != nullptr;
  if (may_fail) options.stop.mark(options.stop.context);
  Walk walk{drafts, options.end_tokens, options.stop, state_, StopReason::none, {}};
  const verify::Accepted accepted =
      verify::coupled(drafts, [&](std::int64_t row) { return choose(walk, row); });
  if (accepted.tokens == 0) return unexpected(walk.error);
  const auto tokens = tokens_.first(static_cast<std::size_t>(accepted.tokens));
  const double verify_ms = timer.lap_ms();

  // 4. Commit what plain decoding would have evaluated: everything before the newest token.
  if (const Status done = commit(transaction, accepted.tokens); !done) {
    if (may_fail) options.stop.undo(options.stop.context);
    return unexpected(done.error());
  }
  std::copy(tokens.begin(), tokens.end(), text_.as<std::int32_t>() + size_);
  size_ += accepted.tokens;
  state_ = walk.state;
  result.tokens = tokens;
  if (alternatives_ >= 0) result.logprobs = logprobs_.first(tokens.size());
  result.proposed = count;
  result.evaluated = accepted.evaluated;
  result.accepted = accepted.count;
  result.stop = walk.reason;
  if (drafting_) {
    drafting_ = static_cast<bool>(drafter_.append(tokens));
    if (drafting_) drafter_.feedback({most, result.evaluated, result.accepted});
  }
  count_round(result, count + 1);
  stats_.cut += proposed - count;
  stats_.draft_ms += draft_ms;
  stats_.target_ms += target_ms;
  stats_.verify_ms += verify_ms;
  stats_.commit_ms += timer.lap_ms();
  return result;
}

// Where too few states are kept for it, the accepted rows run again: the policy checkpoint, or a
// depth below a round's rows. Cancelling stops at a pass, and this is still the same round.
Status Session::commit(Transaction& transaction, std::int64_t count) noexcept {
  if (transaction.can_commit(count)) return transaction.commit(count);
  const auto rows = rows_.first(static_cast<std::size_t>(count));
  for (Row& row : rows) row.need = Need::none;
  KEDGE_CHECK(transaction.commit(0));
  KEDGE_TRY(Transaction again, sequence_.begin(count, 1));
  KEDGE_CHECK(engine_->forward.evaluate(rows, {}));
  stats_.rerun_rows += count;
  return again.commit(count);
}

void Session::count_round(const Round& r, std::int64_t width) noexcept {
  const auto fresh = static_cast<std::int64_t>(r.tokens.size());
  ++stats_.rounds;
  stats_.tokens += fresh;
  stats_.proposed += r.proposed;
  stats_.evaluated += r.evaluated;
  stats_.accepted += r.accepted;
  stats_.rejected_rows += width - fresh;
  for (std::int64_t i = 0; i < r.proposed; ++i) ++stats_.reached[static_cast<std::size_t>(i)];
  for (std::int64_t i = 0; i < r.accepted; ++i) ++stats_.held[static_cast<std::size_t>(i)];
  ++stats_.width[static_cast<std::size_t>(width)];
}

}  // namespace kedge::inline KEDGE_ABI
