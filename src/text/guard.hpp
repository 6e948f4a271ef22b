// Where exceptions end: std containers throw when memory runs out; nothing else here throws.
#pragma once

#include <utility>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::text {

template <class Body>
auto guarded(const char* place, Body&& body) noexcept -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    return fail(Code::out_of_memory, place, "an allocation failed");
  }
}

}  // namespace kedge::inline KEDGE_ABI::text
