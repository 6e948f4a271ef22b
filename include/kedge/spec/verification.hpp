// How a session verifies drafts.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

enum class Verification : std::uint8_t {
  // The text is that of plain decoding, bit for bit, with any drafter and any draft length.
  coupled,
  // The text is distributed as that of plain decoding and accepts guesses that were drawn from
  // other distributions more often; which text it is depends on drafts and their lengths.
  rejection,
  block,  // accepts at least as many (verify/block.hpp)
};

constexpr const char* to_string(Verification verification) noexcept {
  constexpr const char* names[] = {"coupled", "rejection", "block"};
  return names[static_cast<unsigned>(verification)];
}

}  // namespace kedge::inline KEDGE_ABI
