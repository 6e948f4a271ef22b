// Distribution: the tokens that may be drawn, each once and in any order, and their probabilities.
// Others have none, so it is short where top-k, top-p or min-p leave few. Probabilities are stored
// in F32 and summed in double; whoever draws divides by their sum, so that what the rounding leaves
// is no bias but a distribution whose ratios are off by 1e-7 at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

struct Distribution {
  std::span<const std::int32_t> tokens;
  std::span<const float> probabilities;

  constexpr bool empty() const noexcept { return tokens.empty(); }
  // Of all entries, in their order.
  constexpr double sum() const noexcept {
    double sum = 0;
    for (const float p : probabilities) sum += static_cast<double>(p);
    return sum;
  }
  // As it stands in the list; 0 for a token that is not in it.
  constexpr float of(std::int32_t token) const noexcept {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i] == token) return probabilities[i];
    return 0;
  }
};

// The token at which the running sum passes `uniform` (above 0, below 1) of the whole. -1 when the
// sum is not above 0.
constexpr std::int32_t draw(const Distribution& from, double uniform) noexcept {
  const double wanted = uniform * from.sum();
  std::int32_t token = -1;
  double passed = 0;
  for (std::size_t i = 0; i < from.tokens.size(); ++i) {
    if (!(from.probabilities[i] > 0)) continue;
    token = from.tokens[i];
    passed += static_cast<double>(from.probabilities[i]);
    if (passed > wanted) break;
  }
  return token;
}

}  // namespace kedge::inline KEDGE_ABI
