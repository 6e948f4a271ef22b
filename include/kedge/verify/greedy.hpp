// Greedy verification: a draft token holds if it is the target's own choice. Lossless because the
// target's logits at a position do not depend on what is evaluated beside it (docs/exactness.md).
#pragma once

#include <cstdint>
#include <span>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::verify {

struct Accepted {
  std::int64_t evaluated = 0;  // drafts looked at, up to and including the first that fails
  std::int64_t count = 0;      // drafts that hold
  std::int32_t next = 0;       // the target's token after them: the correction, or the bonus
};

// choice[i] is the target's token after row i; row 0 is the newest committed token, row i the i-th
// draft, so choice has one entry more than draft.
constexpr Accepted greedy(std::span<const std::int32_t> draft,
                          std::span<const std::int32_t> choice) noexcept {
  Accepted result;
  std::size_t i = 0;
  while (i < draft.size() && draft[i] == choice[i]) ++i;
  result.count = static_cast<std::int64_t>(i);
  result.evaluated = static_cast<std::int64_t>(i < draft.size() ? i + 1 : i);
  result.next = choice[i];
  return result;
}

}  // namespace kedge::inline KEDGE_ABI::verify
