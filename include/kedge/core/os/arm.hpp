// What the system says about a 64-bit Arm processor, which has no instruction that would tell a
// program.
#pragma once

#include "kedge/core/config.hpp"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace kedge::inline KEDGE_ABI::os {

// Dot products of bytes (FEAT_DotProd). Of Apple's processors all that run macOS have them;
// elsewhere nobody is asked.
inline bool has_dot_products() noexcept {
#if defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long asimd_dot_products = 1ul << 20;  // HWCAP_ASIMDDP of <asm/hwcap.h>
  return (::getauxval(AT_HWCAP) & asimd_dot_products) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  return true;
#else
  return false;
#endif
}

}  // namespace kedge::inline KEDGE_ABI::os
