// Block verification (Sun et al. 2024, "Block verification accelerates speculative decoding", arXiv
// 2403.10444, algorithm 2): guesses are accepted together. With P_j = min(1, P_{j-1} p(d_j) /
// q(d_j)), P_0 = 1, the block of the first j guesses holds with probability h_j = R_j / (R_j + 1 -
// P_j), R_j = sum of max(P_j p - q, 0) over what could come next, h_n = P_n for all n; the longest
// that holds is kept, and behind it stands a token of max(P_j p - q, 0). A likely later guess so
// makes up for an unlikely one. It accepts at least as many as rejection() on average, and is as
// lossless.
//
// Whether a block holds depends on guesses behind it that are thrown away, so the noise of a round
// must be that of no other, not even of its discarded positions: RoundNoise counts by round.
#pragma once

#include "kedge/verify/rejection.hpp"

namespace kedge::inline KEDGE_ABI::verify {

// As rejection(). All rows are looked at in ascending order (until a guess is impossible), then the
// row behind the accepted guesses once more: offer() is a pure function.
template <class Offer, class Uniform>
Accepted block(const draft::Draft& draft, Offer&& offer, const Uniform& uniform,
               Residual& residual) {
  using noise::Stream;
  const std::int64_t size = draft.size();
  Accepted result;
  double ratio = 1, kept = 1;  // P_j, and that of the accepted block
  std::int64_t end = size;     // guesses whose rows can be had
  bool bonus = true;           // and the row behind them
  Offered offered = offer(0);
  if (offered.failed) return result;
  std::int64_t at = 0;  // the row of `offered`
  for (std::int64_t j = 1; j <= end; ++j) {
    const Guess guess = Guess::of(draft, j - 1);
    const double p = static_cast<double>(offered.p.of(guess.token)) / offered.p.sum();
    ratio = guess.chance > 0 ? std::min(1.0, ratio * p / guess.chance) : 0;
    if (!(ratio > 0)) break;  // nothing behind an impossible guess holds
    offered = offer(j);
    at = j;
    double holds = ratio;
    if (offered.failed) {
      end = j;
      bonus = false;
    } else if (j < size) {
      const double mass = residual.mass(offered.p, Guess::of(draft, j), ratio);
      const double rest = mass + 1 - ratio;
      holds = rest > 0 ? mass / rest : 1;
    }
    if (uniform(Stream::accept, j - 1) <= holds) {
      result.count = j;
      kept = ratio;
    }
  }
  const std::int64_t count = result.count;
  result.evaluated = std::min(count + 1, end);
  result.tokens = count;
  if (count > 0) result.next = draft.tokens()[static_cast<std::size_t>(count - 1)];
  if (count == end && !bonus) return result;
  if (at != count) offered = offer(count);
  if (offered.failed) return result;
  ++result.tokens;
  const double number = uniform(Stream::residual, count);
  result.next = count == size ? kedge::draw(offered.p, number)
                              : residual.draw(offered.p, Guess::of(draft, count), kept, number);
  return result;
}

}  // namespace kedge::inline KEDGE_ABI::verify
