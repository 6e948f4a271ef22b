// Rejection and block verification of a round: what the target offers after each row is the
// sampler's distribution, with the penalties and the constraint of the guesses before it.
#include <algorithm>

#include "kedge/verify/block.hpp"
#include "kedge/verify/rejection.hpp"
#include "spec/open_round.hpp"

namespace kedge::inline KEDGE_ABI {

Status Session::set_verification(Verification verification) noexcept {
  if (verification != Verification::coupled && offered_.size() == 0) {
    const std::int64_t vocabulary = model().config().vocabulary;
    KEDGE_TRY(Buffer offered, Buffer::create(8 * static_cast<std::size_t>(vocabulary),
                                             "distribution", options_.allocator));
    KEDGE_TRY(verify::Residual residual, verify::Residual::create(vocabulary, options_.allocator));
    KEDGE_TRY(draft::Draft draft,
              draft::Draft::create(
                  {options_.max_draft, options_.max_draft * vocabulary, options_.allocator}));
    offered_ = std::move(offered);
    residual_ = std::move(residual);
    draft_ = std::move(draft);
  }
  verification_ = verification;
  return {};
}

verify::Accepted Session::verify_drawn(OpenRound& open) noexcept {
  const auto offer = [&](std::int64_t row) -> verify::Offered {
    const auto i = static_cast<std::size_t>(row);
    const std::int64_t output = open.first_output + row;
    const auto failed = [&](const Error& error) {
      open.walk.error = error;
      return verify::Offered{{}, true};
    };
    if (const Status finite = engine_->forward.finite(output); !finite)
      return failed(finite.error());
    const Sampler::Draw draw = draw_of(open.walk, row == 0 ? state_ : guess_states_[i - 1], output,
                                       row, draft_.tokens().first(i));
    const auto vocabulary = static_cast<std::size_t>(model().config().vocabulary);
    const Result<Distribution> p =
        sampler_.distribution(draw, {offered_.as<std::int32_t>(), vocabulary},
                              {offered_.as<float>() + vocabulary, vocabulary});
    if (!p) return failed(p.error());
    return {*p, false};
  };
  const verify::RoundNoise noise{sampling().seed, size_};
  const verify::Accepted accepted = verification_ == Verification::rejection
                                        ? verify::rejection(draft_, offer, noise, residual_)
                                        : verify::block(draft_, offer, noise, residual_);
  return settle(open, accepted);
}

// Goes through the tokens that hold, up to what ends the text.
verify::Accepted Session::settle(OpenRound& open, verify::Accepted accepted) noexcept {
  for (std::int64_t i = 0; i < accepted.tokens; ++i) {
    const auto at = static_cast<std::size_t>(i);
    tokens_[at] = i < accepted.count ? draft_.tokens()[at] : accepted.next;
    if (i < accepted.count) path_[at] = static_cast<std::int32_t>(i);
    note_token(open.walk, open.first_output + i, i);
    if (open.walk.reason == StopReason::none) continue;
    accepted.tokens = i + 1;
    accepted.count = std::min(accepted.count, i + 1);
    accepted.evaluated = std::min(accepted.evaluated, i + 1);
  }
  if (accepted.tokens > 0) accepted.next = tokens_[static_cast<std::size_t>(accepted.tokens - 1)];
  return accepted;
}

}  // namespace kedge::inline KEDGE_ABI
