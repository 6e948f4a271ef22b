// One round: draft, evaluate, verify, commit.
#include <algorithm>

#include "kedge/sample/softmax.hpp"
#include "kedge/verify/tree.hpp"
#include "spec/open_round.hpp"

namespace kedge::inline KEDGE_ABI {

// What the sampler draws the token behind `drafts` from: an output of the last pass.
Sampler::Draw Session::draw_of(const Walk& walk, const ConstraintState& state, std::int64_t output,
                               std::int64_t depth, std::span<const std::int32_t> drafts) noexcept {
  const Forward& forward = engine_->forward;
  Sampler::Draw draw;
  draw.logits = forward.logits(output);
  draw.largest = forward.choice(output);
  draw.position = size_ + depth;
  draw.text = text();
  draw.drafts = drafts;
  if (constraint_) {
    constraint_.mask(state, allowed_);
    const bool may_end = constraint_.accepts_end(state);
    for (const std::int32_t end : walk.end_tokens) {
      if (end < 0 || end >= model().config().vocabulary) continue;
      const std::uint32_t bit = 1u << (end & 31);
      std::uint32_t& word = allowed_[static_cast<std::size_t>(end / 32)];
      word = may_end ? word | bit : word & ~bit;
    }
    draw.allowed = allowed_;
  } else {
    const Forward::Top top = forward.top(output);
    draw.top_ids = top.tokens;
    draw.top_logits = top.logits;
  }
  return draw;
}

// What follows from tokens_[depth], which was drawn from an output and now is certain.
void Session::note_token(Walk& walk, std::int64_t output, std::int64_t depth) noexcept {
  const auto i = static_cast<std::size_t>(depth);
  const std::int32_t token = tokens_[i];
  if (alternatives_ >= 0) {
    const auto count = static_cast<std::size_t>(alternatives_);
    logprobs_[i] =
        log_probability(options_.isa, engine_->forward.logits(output), token,
                        best_.subspan(i * static_cast<std::size_t>(max_alternatives), count));
  }
  const bool end = spec::contains(walk.end_tokens, token);
  if (constraint_ && !end) walk.state = constraint_.advance(walk.state, token);
  if (walk.stop.push != nullptr && walk.stop.push(walk.stop.context, token))
    walk.reason = StopReason::stop_text;
  if (end) walk.reason = StopReason::end_token;
}

// The token after `depth` drafts that hold.
verify::Chosen Session::choose(Walk& walk, std::int64_t output, std::int64_t depth) noexcept {
  const auto i = static_cast<std::size_t>(depth);
  const auto failed = [&](const Error& error) {
    walk.error = error;
    return verify::Chosen{0, false, true};
  };
  if (const Status finite = engine_->forward.finite(output); !finite) return failed(finite.error());
  // The drafts that hold are what was chosen.
  const Result<std::int32_t> token =
      sampler_.choose(draw_of(walk, walk.state, output, depth, tokens_.first(i)));
  if (!token) return failed(token.error());
  tokens_[i] = *token;
  note_token(walk, output, depth);
  return {*token, walk.reason != StopReason::none};
}

// Drafts, and makes room for the pass. The pass yields one token more than the drafts that hold.
Status Session::open_round(const RoundOptions& options, OpenRound& open) noexcept {
  if (size_ == sequence_.length())
    return fail(Code::invalid_argument, "session", "round before begin");
  spec::Timer timer;
  open.options = options;
  if (sequence_.length() + 1 < size_) {
    KEDGE_CHECK(catch_up(options.cancel));
    stats_.prefill_ms += timer.lap_ms();
  }
  const std::int64_t room = context() - sequence_.length();
  if (room < 1 || options.limit < 1) {
    open.result.stop = room < 1 ? StopReason::context_full : StopReason::token_limit;
    return {};
  }
  open.most = std::min({options_.max_draft, options.limit - 1, room - 1});
  KEDGE_CHECK(tell_drafter());
  if (drafter_) {
    timer.lap_ms();
    KEDGE_CHECK(show_text(options.cancel));
    stats_.prefill_ms += timer.lap_ms();
  }
  draft_.clear();
  if (drafter_ && open.most > 0) {
    open.asked = std::clamp<std::int64_t>(window_.ask(open.most, size_), 0, open.most);
    KEDGE_CHECK(propose(open.asked));
  }
  open.proposed = draft_.size();
  if (open.proposed > 0) draft_.cut(window_.keep(draft_, open.most));
  const std::int64_t kept = draft_.size();
  constrain_draft(options.end_tokens);
  open.cut = kept - draft_.size();
  open.draft_ms = timer.lap_ms();
  const std::int64_t rows = 1 + draft_.size();
  KEDGE_TRY(Transaction transaction,
            draft_.chain() ? sequence_.begin(rows) : sequence_.begin_tree(rows));
  open.transaction.emplace(std::move(transaction));

  const auto first = static_cast<std::int32_t>(open.transaction->first_position());
  rows_[0] = {text().back(), first, sequence_.index(), need()};
  for (std::size_t i = 0; i < draft_.tokens().size(); ++i) {
    const std::int32_t parent = draft_.parents()[i] + 1;
    Row& row = rows_[i + 1];
    row = {draft_.tokens()[i], rows_[static_cast<std::size_t>(parent)].position + 1,
           sequence_.index(), need(), parent};
    open.depth = std::max<std::int64_t>(open.depth, row.position - first);
  }
  return {};
}

// The drafts that the target draws too, then its own token, up to what ends the text.
verify::Accepted Session::verify_coupled(OpenRound& open) noexcept {
  const auto most = static_cast<std::size_t>(std::min(open.most, open.depth));
  return verify::coupled_tree(draft_.tokens(), draft_.parents(), path_.first(most),
                              [&](std::int64_t row, std::int64_t depth) {
                                return choose(open.walk, open.first_output + row, depth);
                              });
}

Status Session::verify_round(OpenRound& open) noexcept {
  spec::Timer timer;
  open.runs_again = !open.transaction->can_commit(1);
  open.marked = open.runs_again && open.options.stop.mark != nullptr;
  if (open.marked) open.options.stop.mark(open.options.stop.context);
  open.walk = {open.options.end_tokens, open.options.stop, state_, StopReason::none, {}};
  open.accepted =
      verification_ == Verification::coupled ? verify_coupled(open) : verify_drawn(open);
  open.verify_ms = timer.lap_ms();
  if (open.accepted.tokens == 0) return unexpected(open.walk.error);
  return {};
}

// Commits what plain decoding would have evaluated: everything before the newest token.
Result<Session::Round> Session::close_round(OpenRound& open) noexcept {
  spec::Timer timer;
  const verify::Accepted accepted = open.accepted;
  const std::int64_t first = sequence_.length();
  if (const Status done = commit(open); !done) {
    if (open.marked) open.options.stop.undo(open.options.stop.context);
    return unexpected(done.error());
  }
  const auto tokens = tokens_.first(static_cast<std::size_t>(accepted.tokens));
  std::copy(tokens.begin(), tokens.end(), text_.as<std::int32_t>() + size_);
  size_ += accepted.tokens;
  state_ = open.walk.state;
  Round& result = open.result;
  result.tokens = tokens;
  if (alternatives_ >= 0) result.logprobs = logprobs_.first(tokens.size());
  result.proposed = draft_.size();
  result.evaluated = accepted.evaluated;
  result.accepted = accepted.count;
  result.stop = open.walk.reason;
  // What was verified is certain whatever the drafter says to it: one that cannot take it is told
  // the whole text at the next round.
  if (drafting_ && show_rows(first, open) && tell_drafter())
    drafter_.feedback({open.asked, result.evaluated, result.accepted});
  count_round(result, open.depth, 1 + draft_.size());
  const double commit_ms = timer.lap_ms();
  stats_.cut += open.cut;
  stats_.draft_ms += open.draft_ms;
  stats_.target_ms += open.target_ms;
  stats_.verify_ms += open.verify_ms;
  stats_.commit_ms += commit_ms;
  learn(open, commit_ms);
  return result;
}

void Session::learn(const OpenRound& open, double commit_ms) noexcept {
  const Round& r = open.result;
  window::Trial trial;
  trial.asked = open.asked;
  trial.proposed = open.proposed;
  trial.kept = r.proposed;
  trial.evaluated = r.evaluated;
  trial.accepted = r.accepted;
  trial.rows = 1 + r.proposed;
  trial.draft_ms = open.draft_ms;
  trial.target_ms = open.target_ms;
  trial.other_ms = open.verify_ms + commit_ms;
  trial.confidences = draft_.confidences();
  trial.tokens = r.tokens;
  trial.source = draft_.source;
  trial.position = size_ - static_cast<std::int64_t>(r.tokens.size());
  window_.learn(trial);
  stats_.see(trial, window_.choice());
}

// The hidden states of the committed rows, which in a tree lie apart.
Status Session::show_rows(std::int64_t first, const OpenRound& open) noexcept {
  if (draft_.chain()) return show_drafter(first, open.first_row, open.accepted.tokens);
  for (std::int64_t i = 0; i < open.accepted.tokens; ++i)
    KEDGE_CHECK(show_drafter(first + i, open.first_row + branch_[static_cast<std::size_t>(i)], 1));
  return {};
}

Result<Session::Round> Session::round(const RoundOptions& options) noexcept {
  OpenRound open;
  KEDGE_CHECK(open_round(options, open));
  if (open.rows() == 0) return open.result;
  spec::Timer timer;
  KEDGE_CHECK(engine_->forward.evaluate(rows_.first(static_cast<std::size_t>(open.rows())),
                                        {sampler_.needs_top(), options.cancel}));
  open.target_ms = timer.lap_ms();
  KEDGE_CHECK(verify_round(open));
  return close_round(open);
}

// Where too few states are kept for it, the accepted rows run again: the policy checkpoint, or a
// depth below a round's rows. Cancelling stops at a pass, and this is still the same round.
Status Session::commit(OpenRound& open) noexcept {
  const std::int64_t count = open.accepted.tokens;
  if (!draft_.chain()) {
    // The rows of the drafts that hold, but for one that ends the text: it is the newest token.
    branch_[0] = 0;
    for (std::size_t i = 1; i < static_cast<std::size_t>(count); ++i) branch_[i] = path_[i - 1] + 1;
    return open.transaction->commit(branch_.first(static_cast<std::size_t>(count)));
  }
  if (open.transaction->can_commit(count)) return open.transaction->commit(count);
  const auto rows = rows_.first(static_cast<std::size_t>(count));
  for (Row& row : rows) row.need = Need::none;
  KEDGE_CHECK(open.transaction->commit(0));
  KEDGE_TRY(Transaction again, sequence_.begin(count, 1));
  KEDGE_CHECK(engine_->forward.evaluate(rows, {}));
  open.first_row = 0;
  stats_.rerun_rows += count;
  return again.commit(count);
}

void Session::count_round(const Round& r, std::int64_t depth, std::int64_t width) noexcept {
  const auto fresh = static_cast<std::int64_t>(r.tokens.size());
  ++stats_.rounds;
  stats_.tokens += fresh;
  stats_.proposed += r.proposed;
  stats_.evaluated += r.evaluated;
  stats_.accepted += r.accepted;
  stats_.rejected_rows += width - fresh;
  for (std::int64_t i = 0; i < depth; ++i) ++stats_.reached[static_cast<std::size_t>(i)];
  for (std::int64_t i = 0; i < r.accepted; ++i) ++stats_.held[static_cast<std::size_t>(i)];
  ++stats_.width[static_cast<std::size_t>(width)];
}

}  // namespace kedge::inline KEDGE_ABI
