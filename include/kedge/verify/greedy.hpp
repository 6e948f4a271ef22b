// Greedy verification: a draft token holds if it is the target's most likely one. The special case
// of verify/coupled.hpp that draws without noise.
#pragma once

#include "kedge/verify/coupled.hpp"

namespace kedge::inline KEDGE_ABI::verify {

// choice[i] is the target's token after row i; row 0 is the newest committed token, row i the i-th
// draft, so choice has one entry more than draft.
constexpr Accepted greedy(std::span<const std::int32_t> draft,
                          std::span<const std::int32_t> choice) noexcept {
  return coupled(draft,
                 [&](std::int64_t i) { return Chosen{choice[static_cast<std::size_t>(i)]}; });
}

}  // namespace kedge::inline KEDGE_ABI::verify
