// What stands in the place of a guess that does not hold: a token drawn from max(scale * p - q, 0)
// (Leviathan, Kalman, Matias 2023; Chen et al. 2023; with a scale below 1: Sun et al. 2024, "Block
// verification accelerates speculative decoding", arXiv 2403.10444). Sums are in double and in the
// order of p's list. Lists may come in any order: q is spread over an array of the vocabulary's
// size, which is all zero between calls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/draft/draft.hpp"

namespace kedge::inline KEDGE_ABI::verify {

// A guess and what it was drawn from, once q(guess) and q's sum are known.
struct Guess {
  std::int32_t token = 0;
  Distribution q;     // empty: the guess was certain
  double scale = 1;   // 1 / sum of q
  double chance = 1;  // q(token)

  static Guess of(const draft::Draft& draft, std::int64_t i) noexcept {
    Guess guess;
    guess.token = draft.tokens()[static_cast<std::size_t>(i)];
    guess.q = draft.distribution(i);
    if (guess.q.empty()) return guess;
    const double sum = guess.q.sum();
    guess.scale = sum > 0 ? 1 / sum : 0;
    guess.chance = static_cast<double>(guess.q.of(guess.token)) * guess.scale;
    return guess;
  }
};

// The memory of residuals.
class Residual {
 public:
  static Result<Residual> create(std::int64_t vocabulary,
                                 const Allocator& allocator = default_allocator()) noexcept {
    if (vocabulary < 1)
      return fail(Code::invalid_argument, "residual", "vocabulary: expected 1 or more, found %lld",
                  static_cast<long long>(vocabulary));
    Residual r;
    KEDGE_TRY(r.q_, Buffer::zeroed(static_cast<std::size_t>(vocabulary) * sizeof(float), "residual",
                                   allocator));
    return r;
  }
  Residual() noexcept = default;

  // The sum of max(scale * p(x) - q(x), 0) over all tokens.
  double mass(const Distribution& p, const Guess& guess, double scale) noexcept {
    double sum = 0;
    visit(p, guess, scale, [&](std::int32_t, double weight) {
      sum += weight;
      return true;
    });
    return sum;
  }
  // A token of it, by a number above 0 and below 1. Where nothing is left, which only rounding can
  // do (p and q were equal, and the guess cannot have failed), one of p.
  std::int32_t draw(const Distribution& p, const Guess& guess, double scale,
                    double uniform) noexcept {
    const double wanted = uniform * mass(p, guess, scale);
    if (!(wanted > 1e-12)) return kedge::draw(p, uniform);
    std::int32_t drawn = -1;
    double passed = 0;
    visit(p, guess, scale, [&](std::int32_t token, double weight) {
      if (!(weight > 0)) return true;
      drawn = token;
      passed += weight;
      return !(passed > wanted);
    });
    return drawn;
  }

 private:
  template <class Visit>
  void visit(const Distribution& p, const Guess& guess, double scale, Visit&& see) noexcept {
    const double unit = scale / p.sum();
    float* q = q_.as<float>();
    for (std::size_t i = 0; i < guess.q.tokens.size(); ++i)
      q[guess.q.tokens[i]] = guess.q.probabilities[i];
    if (guess.q.empty()) q[guess.token] = 1;
    for (std::size_t i = 0; i < p.tokens.size(); ++i) {
      const double both = static_cast<double>(p.probabilities[i]) * unit -
                          static_cast<double>(q[p.tokens[i]]) * guess.scale;
      if (!see(p.tokens[i], std::max(both, 0.0))) break;
    }
    for (const std::int32_t token : guess.q.tokens) q[token] = 0;
    if (guess.q.empty()) q[guess.token] = 0;
  }

  Buffer q_;  // f32 [vocabulary]
};

}  // namespace kedge::inline KEDGE_ABI::verify
