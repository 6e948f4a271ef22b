// How a session decides which guesses hold.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

enum class Verification : std::uint8_t {
  // The target draws its own token at every position, with the noise of that position, and a guess
  // holds if it is that token: speculative text is plain text, bit for bit, at any temperature.
  coupled,
  // Tokens are distributed as the target's own, but the text is another one than plain decoding's,
  // and depends on what was drafted: verify/rejection.hpp and verify/block.hpp. Chains only. At
  // temperature 0 all three are the same.
  rejection,
  block,
};

constexpr const char* to_string(Verification verification) noexcept {
  constexpr const char* names[] = {"coupled", "rejection", "block"};
  return names[static_cast<unsigned>(verification)];
}

}  // namespace kedge::inline KEDGE_ABI
