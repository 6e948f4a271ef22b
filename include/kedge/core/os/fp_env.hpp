// The floating-point modes that every byte depends on: round to nearest even, subnormals kept, no
// traps. A caller may have set others; they are put back on return.
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace kedge::inline KEDGE_ABI::os {

class ScopedFpEnv {
 public:
#if defined(__x86_64__)
  ScopedFpEnv() noexcept : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80u); }
  ~ScopedFpEnv() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  ScopedFpEnv() noexcept {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(std::uint64_t{0}));
  }
  ~ScopedFpEnv() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  std::uint64_t saved_;
#else
#error "Kedge does not know how to set this processor's floating-point modes"
#endif
 public:
  ScopedFpEnv(const ScopedFpEnv&) = delete;
  ScopedFpEnv& operator=(const ScopedFpEnv&) = delete;
};

}  // namespace kedge::inline KEDGE_ABI::os
