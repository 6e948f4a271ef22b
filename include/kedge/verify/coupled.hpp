// Coupled verification: the target draws its own token after every row, with the noise of that
// position, and a draft holds if it is that token. What is drawn is what plain decoding would draw,
// so speculative text is plain text bit for bit at any temperature, with penalties and constraints.
// A drafter that shares the noise (sample/noise.hpp) and has similar logits is mostly right.
// Rows behind the first rejected draft are not looked at, whatever they hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::verify {

struct Accepted {
  std::int64_t evaluated = 0;  // drafts looked at, up to and including the first that fails
  std::int64_t count = 0;      // drafts that hold
  std::int64_t tokens = 0;  // certain ones: those drafts, and the target's own unless it was last
  std::int32_t next = 0;    // the last of them: the correction, the bonus, or a draft that ends
};

// What the target says after a row.
struct Chosen {
  std::int32_t token = 0;
  bool last = false;    // nothing is to follow this token
  bool failed = false;  // there is none; what stands before it is certain all the same
};

// choose(i) is the target's token after row i: row 0 is the newest committed token, row i the i-th
// draft. It is called in ascending order and only while all drafts before i hold.
template <class Choose>
constexpr Accepted coupled(std::span<const std::int32_t> draft, Choose&& choose) {
  Accepted result;
  for (std::size_t i = 0;; ++i) {
    const Chosen chosen = choose(static_cast<std::int64_t>(i));
    if (chosen.failed) return result;
    result.next = chosen.token;
    result.tokens = static_cast<std::int64_t>(i) + 1;
    if (i == draft.size()) return result;
    result.evaluated = static_cast<std::int64_t>(i) + 1;
    if (draft[i] != chosen.token) return result;
    ++result.count;
    if (chosen.last) return result;
  }
}

}  // namespace kedge::inline KEDGE_ABI::verify
