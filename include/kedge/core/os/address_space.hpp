// AddressSpace: addresses that nobody else gets and that nothing lies at. What a device's memory is
// called by where the host cannot see it; an access faults.
#pragma once

#include <sys/mman.h>

#include <cstddef>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::os {

// Null when the system has none left.
inline void* reserve_addresses(std::size_t bytes) noexcept {
  void* const at =
      mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}
inline void release_addresses(void* at, std::size_t bytes) noexcept { munmap(at, bytes); }

}  // namespace kedge::inline KEDGE_ABI::os
