// The noise of sampling: for every (seed, position, token) one exponential variable E, always the
// same. The token drawn at a position is the one with the largest x - log E (x: logit over
// temperature), which is the Gumbel-max trick (Gumbel 1954; Maddison, Tarlow, Minka 2014): -log E
// is Gumbel noise. Whoever shares the seed and has similar logits mostly draws the same token.
//
// Rejection and block verification (verify/rejection.hpp) are only lossless when what draws a
// guess, what accepts it and what replaces it are independent, so each has a stream of its own. And
// a guess that was thrown away may be looked at again: block verification decides by guesses behind
// the accepted ones. So these streams count by the round and the step within it, not by position
// alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/rng.hpp"

namespace kedge::inline KEDGE_ABI::noise {

// Four tokens share a counter (64 tokens have 16 counters, and words 0 of these belong to the first
// 16 tokens and so on, which suits vectors). The upper 32 bits of all are one block, the lower
// another, which is needed only for tokens that may win.
enum class Half : std::uint32_t { upper, lower };

// Who draws: the target its own token of a position (which coupled verification shares with
// drafters), a drafter its guess, verification whether the guess holds, and what stands in its
// place.
enum class Stream : std::uint32_t { target, draft, accept, residual };

// Of Stream::target `position` is that of the token and `step` is 0. Of the others `position` is
// that of the round's first guess (draft::Ask::position) and `step` the number of the guess within
// the round.
struct Place {
  std::int64_t position = 0;
  Stream stream = Stream::target;
  std::int64_t step = 0;  // 0 to 2^28 - 1
};

constexpr Philox::Counter counter(const Place& place, std::int32_t token, Half half) noexcept {
  const auto p = static_cast<std::uint64_t>(place.position);
  const auto t = static_cast<std::uint32_t>(token);
  return {t >> 6 << 4 | (t & 15u), static_cast<std::uint32_t>(p),
          static_cast<std::uint32_t>(p >> 32),
          static_cast<std::uint32_t>(half) | static_cast<std::uint32_t>(place.stream) << 1 |
              static_cast<std::uint32_t>(place.step) << 4};
}
constexpr std::size_t word(std::int32_t token) noexcept {
  return static_cast<std::size_t>(token >> 4 & 3);
}

constexpr std::uint64_t bits(std::uint64_t seed, const Place& place, std::int32_t token) noexcept {
  const Philox::Key key = Philox::key(seed);
  const std::uint32_t upper = Philox::block(counter(place, token, Half::upper), key)[word(token)];
  const std::uint32_t lower = Philox::block(counter(place, token, Half::lower), key)[word(token)];
  return std::uint64_t{upper} << 32 | lower;
}
constexpr std::uint64_t bits(std::uint64_t seed, std::int64_t position,
                             std::int32_t token) noexcept {
  return bits(seed, Place{position}, token);
}

// One number above 0 and below 1, with 52 bits. Its counter is one that no token has.
constexpr double uniform(std::uint64_t seed, const Place& place) noexcept {
  Philox::Counter c = counter(place, 0, Half::upper);
  c[0] = ~std::uint32_t{0};
  const Philox::Counter block = Philox::block(c, Philox::key(seed));
  const std::uint64_t upper = std::uint64_t{block[0]} << 20 | block[1] >> 12;
  return (static_cast<double>(upper) + 0.5) * 0x1p-52;
}

// log E for E = -log(1 - w), w = (bits + 1/2) / 2^64. Equal on every machine (core/math.hpp);
// relative error of E below 1e-13.
KEDGE_API double log_exponential(std::uint64_t bits) noexcept;

}  // namespace kedge::inline KEDGE_ABI::noise
