// The noise of sampling: for every (seed, position, token) one exponential variable E, always the
// same. The token drawn at a position is the one with the largest x - log E (x: logit over
// temperature), which is the Gumbel-max trick (Gumbel 1954; Maddison, Tarlow, Minka 2014): -log E
// is Gumbel noise. Whoever shares the seed and has similar logits mostly draws the same token.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/rng.hpp"

namespace kedge::inline KEDGE_ABI::noise {

// Four tokens share a counter (64 tokens have 16 counters, and words 0 of these belong to the first
// 16 tokens and so on, which suits vectors). The upper 32 bits of all are one block, the lower
// another, which is needed only for tokens that may win.
enum class Half : std::uint32_t { upper, lower };

constexpr Philox::Counter counter(std::int64_t position, std::int32_t token, Half half) noexcept {
  const auto p = static_cast<std::uint64_t>(position);
  const auto t = static_cast<std::uint32_t>(token);
  return {t >> 6 << 4 | (t & 15u), static_cast<std::uint32_t>(p),
          static_cast<std::uint32_t>(p >> 32), static_cast<std::uint32_t>(half)};
}
constexpr std::size_t word(std::int32_t token) noexcept {
  return static_cast<std::size_t>(token >> 4 & 3);
}

constexpr std::uint64_t bits(std::uint64_t seed, std::int64_t position,
                             std::int32_t token) noexcept {
  const Philox::Key key = Philox::key(seed);
  const std::uint32_t upper =
      Philox::block(counter(position, token, Half::upper), key)[word(token)];
  const std::uint32_t lower =
      Philox::block(counter(position, token, Half::lower), key)[word(token)];
  return std::uint64_t{upper} << 32 | lower;
}

// log E for E = -log(1 - w), w = (bits + 1/2) / 2^64. Equal on every machine (core/math.hpp);
// relative error of E below 1e-13.
KEDGE_API double log_exponential(std::uint64_t bits) noexcept;

}  // namespace kedge::inline KEDGE_ABI::noise
