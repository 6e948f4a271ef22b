// Coupled verification (verify/coupled.hpp) of a tree of drafts: the target draws its own token
// after the newest token, the drafts that stand there are looked at for it, and so on down the
// branch that holds. A chain is a tree whose guesses stand one behind the other, and gives the same
// as coupled().
#pragma once

#include "kedge/verify/coupled.hpp"

namespace kedge::inline KEDGE_ABI::verify {

// parents[i] < i is the draft before the i-th, -1 for those behind the newest token. choose(row,
// depth) is the target's token after a row, 0 being the newest token and row i + 1 the i-th draft;
// `depth` drafts hold before it. At most path.size() drafts are accepted, whose numbers are written
// into path. Accepted::evaluated counts depths, not drafts: of siblings one at most can hold.
template <class Choose>
constexpr Accepted coupled_tree(std::span<const std::int32_t> draft,
                                std::span<const std::int32_t> parents, std::span<std::int32_t> path,
                                Choose&& choose) {
  Accepted result;
  for (std::int32_t at = -1;;) {
    const Chosen chosen = choose(std::int64_t{at} + 1, result.count);
    if (chosen.failed) return result;
    result.next = chosen.token;
    result.tokens = result.count + 1;
    if (static_cast<std::size_t>(result.count) == path.size()) return result;
    std::int32_t held = -1;
    bool any = false;
    for (std::size_t i = static_cast<std::size_t>(at + 1); i < draft.size() && held < 0; ++i) {
      if (parents[i] != at) continue;
      any = true;
      if (draft[i] == chosen.token) held = static_cast<std::int32_t>(i);
    }
    if (any) result.evaluated = result.count + 1;
    if (held < 0) return result;
    path[static_cast<std::size_t>(result.count++)] = at = held;
    if (chosen.last) return result;
  }
}

}  // namespace kedge::inline KEDGE_ABI::verify
