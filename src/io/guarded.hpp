// The border where what std containers throw becomes an Error. Private to the compiled library.
#pragma once

#include <new>
#include <stdexcept>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::io {

// Calls body(), which returns a Result. Containers throw bad_alloc, or length_error for a size
// beyond any memory; nothing else in these bodies throws.
template <class Body>
auto guarded(const char* place, Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Code::out_of_memory, place, "an allocation failed");
  } catch (const std::length_error&) {
    return fail(Code::out_of_memory, place, "a container would exceed the address space");
  }
}

}  // namespace kedge::inline KEDGE_ABI::io
