// StopMatcher: a condition over the tokens of a text that says after which token it ends, in plain
// function pointers, so that the core need not know of texts. text/stop_strings.hpp makes one.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

// Whoever generates calls push() once for every token that is certain, in order: the tokens of an
// accepted block one by one, and those after the one that returned true not at all. Around a step
// that may still fail it calls mark() before the first push() and, on failure, undo(), after which
// the matcher is as at the mark. No call allocates or fails.
struct StopMatcher {
  void* context = nullptr;
  // True when the text ends with this token. Null: there is no such condition.
  bool (*push)(void* context, std::int32_t token) noexcept = nullptr;
  // Null: push() keeps no state.
  void (*mark)(void* context) noexcept = nullptr;
  void (*undo)(void* context) noexcept = nullptr;

  explicit operator bool() const noexcept { return push != nullptr; }
};

}  // namespace kedge::inline KEDGE_ABI
