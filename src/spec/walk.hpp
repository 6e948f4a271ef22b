// What verification has found so far in one pass.
#pragma once

#include <algorithm>

#include "kedge/spec/session.hpp"

namespace kedge::inline KEDGE_ABI {

struct Session::Walk {
  std::span<const std::int32_t> end_tokens;
  StopMatcher stop;
  ConstraintState state;  // after what was chosen so far
  StopReason reason = StopReason::none;
  Error error;  // when choose() failed
};

namespace spec {

inline bool contains(std::span<const std::int32_t> tokens, std::int32_t token) noexcept {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}
inline bool cancelled(const std::atomic<bool>* cancel) noexcept {
  return cancel != nullptr && cancel->load(std::memory_order_relaxed);
}

}  // namespace spec

}  // namespace kedge::inline KEDGE_ABI
