// What reading memory costs at least: the floor of a decoding step, which reads every weight once.
#pragma once

#include <cstdint>

#include "kedge/core/buffer.hpp"
#include "kedge/core/executor.hpp"

namespace kedge::tools {

// Sums a buffer far larger than any cache with all workers.
class ReadBandwidth {
 public:
  explicit ReadBandwidth(Executor& executor);
  double gigabytes_per_second();  // one pass, 1e9 bytes

 private:
  static constexpr std::size_t bytes = std::size_t{640} << 20;  // L3s of 105 MiB are shared
  static void sum(void* context, unsigned worker, unsigned workers) noexcept;

  Executor& executor_;
  Buffer buffer_;
  std::uint64_t sums_[1024 * 8] = {};  // a cache line per worker; read, so that no sum is left out
};

// What leaving states behind costs at least: fills a buffer far larger than any cache.
class WriteBandwidth {
 public:
  explicit WriteBandwidth(Executor& executor);
  double gigabytes_per_second();  // one pass, 1e9 bytes

 private:
  static constexpr std::size_t bytes = std::size_t{384} << 20;
  static void fill(void* context, unsigned worker, unsigned workers) noexcept;

  Executor& executor_;
  Buffer buffer_;
  int value_ = 0;
};

}  // namespace kedge::tools
