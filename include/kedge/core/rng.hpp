// Random bits as a pure function of a counter and a key, so that noise of one position can be had
// without drawing all that came before, in any order and by anyone who knows the seed.
#pragma once

#include <array>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

// Philox4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011): 128 random bits for every counter.
struct Philox {
  using Counter = std::array<std::uint32_t, 4>;
  using Key = std::array<std::uint32_t, 2>;

  static constexpr std::uint32_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  static constexpr std::uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
  static constexpr int rounds = 10;

  static constexpr Key key(std::uint64_t seed) noexcept {
    return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  }

  static constexpr Counter block(Counter c, Key k) noexcept {
    for (int round = 0; round < rounds; ++round) {
      const std::uint64_t a = std::uint64_t{multiplier0} * c[0];
      const std::uint64_t b = std::uint64_t{multiplier1} * c[2];
      c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(b),
           static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(a)};
      k[0] += weyl0;
      k[1] += weyl1;
    }
    return c;
  }
};

}  // namespace kedge::inline KEDGE_ABI
