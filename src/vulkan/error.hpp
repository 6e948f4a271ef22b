// A VkResult as an Error, and exceptions of std containers as one, at the border of this library.
#pragma once

#include <exception>
#include <new>

#include "functions.hpp"
#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

const char* to_string(VkResult result) noexcept;

// "DEVICE: CALL: VK_ERROR_...". Out-of-memory results keep their code.
inline Unexpected refused(const char* device, const char* call, VkResult result) noexcept {
  const bool memory =
      result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
  return fail(memory ? Code::out_of_memory : Code::device, device, "%s: %s (%d)", call,
              to_string(result), static_cast<int>(result));
}

// Runs `body`, which returns a Result, and turns what std containers throw into one.
template <class Body>
auto guarded(const char* place, Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Code::out_of_memory, place, "host memory for bookkeeping is exhausted");
  } catch (const std::exception& error) {
    return fail(Code::device, place, "%s", error.what());
  }
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
