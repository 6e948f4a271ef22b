// Waiting for another worker: some hundred pauses first (a phase of decoding lasts microseconds),
// then give the processor away, so that more workers than processors still make progress.
#pragma once

#include <atomic>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::os {

KEDGE_API void yield() noexcept;

KEDGE_INLINE void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Done>
void spin_until(Done done) noexcept {
  for (unsigned tries = 0; !done(); ++tries) {
    if (tries < 512) pause();
    else yield();
  }
}

// All workers of one gang meet here, again and again; every one passes the gang's size.
class SpinBarrier {
 public:
  void wait(unsigned workers) noexcept {
    if (workers == 1) return;
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else {
      spin_until([&] { return round_.load(std::memory_order_acquire) != round; });
    }
  }

 private:
  alignas(64) std::atomic<unsigned> arrived_{0};
  alignas(64) std::atomic<unsigned> round_{0};
};

}  // namespace kedge::inline KEDGE_ABI::os
