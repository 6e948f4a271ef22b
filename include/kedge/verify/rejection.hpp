// Standard rejection sampling of drafts (Leviathan, Kalman, Matias 2023, algorithm 1): a guess d
// that was drawn from q holds with probability min(1, p(d) / q(d)); the first that fails is
// replaced by a token of max(p - q, 0), and behind a draft that holds whole stands a token of p.
// What comes out is distributed as the target's own tokens, though it is not the text of plain
// decoding, and depends on how long drafts were. Guesses that are certain have q = 1 for
// themselves.
//
// It takes whatever says p of a row, so that rows behind the first rejected guess are never looked
// at. Draft, accept and residual noise must be independent (sample/noise.hpp): where a guess and
// its replacement share theirs, what comes out is biased.
#pragma once

#include "kedge/sample/noise.hpp"
#include "kedge/verify/coupled.hpp"
#include "kedge/verify/residual.hpp"

namespace kedge::inline KEDGE_ABI::verify {

// What the target says after a row: p of what follows.
struct Offered {
  Distribution p;
  bool failed = false;  // there is none; guesses before it stand all the same
};

// The numbers of one round. `position` is that of its first guess in the text.
struct RoundNoise {
  std::uint64_t seed = 0;
  std::int64_t position = 0;

  double operator()(noise::Stream stream, std::int64_t step) const noexcept {
    return noise::uniform(seed, {position, stream, step});
  }
};

// Of a chain. offer(i) is p after row i: row 0 is the newest token, row i the i-th guess. It is
// called in ascending order and only while all guesses before hold. `uniform` is a RoundNoise.
template <class Offer, class Uniform>
Accepted rejection(const draft::Draft& draft, Offer&& offer, const Uniform& uniform,
                   Residual& residual) {
  using noise::Stream;
  Accepted result;
  for (std::int64_t i = 0;; ++i) {
    const Offered offered = offer(i);
    if (offered.failed) return result;
    ++result.tokens;
    if (i == draft.size()) {
      result.next = kedge::draw(offered.p, uniform(Stream::residual, i));
      return result;
    }
    const Guess guess = Guess::of(draft, i);
    result.evaluated = i + 1;
    const double p = static_cast<double>(offered.p.of(guess.token)) / offered.p.sum();
    if (!(uniform(Stream::accept, i) * guess.chance < p)) {
      result.next = residual.draw(offered.p, guess, 1, uniform(Stream::residual, i));
      return result;
    }
    ++result.count;
    result.next = guess.token;
  }
}

// Whether a draft can be verified so: a chain, and every distribution one that its guess may have
// come from. Costs a pass over the distributions.
inline Status check_distributions(const draft::Draft& draft, std::int64_t vocabulary,
                                  const char* drafter) noexcept {
  if (!draft.chain())
    return fail(Code::invalid_argument, drafter,
                "proposal: rejection and block verification take chains, found a tree");
  for (std::int64_t i = 0; i < draft.size(); ++i) {
    const Distribution q = draft.distribution(i);
    if (q.empty()) continue;
    for (std::size_t n = 0; n < q.tokens.size(); ++n)
      if (q.tokens[n] < 0 || q.tokens[n] >= vocabulary || !(q.probabilities[n] >= 0))
        return fail(Code::invalid_argument, drafter,
                    "distribution of guess %lld: expected tokens of 0..%lld and probabilities of 0 "
                    "or more, found %g for token %d",
                    static_cast<long long>(i), static_cast<long long>(vocabulary - 1),
                    static_cast<double>(q.probabilities[n]), q.tokens[n]);
    const double sum = q.sum();
    const std::int32_t token = draft.tokens()[static_cast<std::size_t>(i)];
    if (!(sum > 0.99 && sum < 1.01) || !(q.of(token) > 0))
      return fail(
          Code::invalid_argument, drafter,
          "distribution of guess %lld: expected a sum of 1 and a chance for token %d, found "
          "%g and %g",
          static_cast<long long>(i), token, sum, static_cast<double>(q.of(token)));
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::verify
