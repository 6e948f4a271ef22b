#include "bench/bandwidth.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "common/failure.hpp"

namespace kedge::tools {

namespace {

// Several streams per worker and prefetch far ahead: one stream leaves a third of the bandwidth
// unused on some processors (the hardware prefetcher follows a stream within a page, and a core has
// room for only so many lines on their way).
constexpr std::size_t streams = 8, line = 64, ahead = 2048;
constexpr std::size_t words = line / sizeof(std::uint64_t);

// Sums `bytes`, a multiple of streams * line; reads ahead of them, which never faults.
std::uint64_t sum_streams(const std::byte* data, std::size_t bytes) noexcept {
  std::uint64_t sum[words] = {};
  const std::size_t part = bytes / streams;
  for (std::size_t i = 0; i < part; i += line)
    for (std::size_t s = 0; s < streams; ++s) {
      const std::byte* at = data + s * part + i;
      __builtin_prefetch(at + ahead);
      std::uint64_t value[words];
      std::memcpy(value, at, line);
      for (std::size_t w = 0; w < words; ++w) sum[w] += value[w];
    }
  std::uint64_t total = 0;
  for (const std::uint64_t each : sum) total += each;
  return total;
}

// Large pages where the system gives them on request: what they save belongs to the floor.
void ask_for_large_pages([[maybe_unused]] std::byte* data, [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
  const auto first = (reinterpret_cast<std::uintptr_t>(data) + 4095) / 4096 * 4096;
  madvise(reinterpret_cast<void*>(first), bytes - 4096, MADV_HUGEPAGE);
#endif
}

}  // namespace

ReadBandwidth::ReadBandwidth(Executor& executor)
    : executor_(executor), buffer_(must(Buffer::create(bytes, "read bandwidth"))) {
  ask_for_large_pages(buffer_.data(), bytes);
  std::memset(buffer_.data(), 1, bytes);
}

void ReadBandwidth::sum(void* context, unsigned worker, unsigned workers) noexcept {
  auto& self = *static_cast<ReadBandwidth*>(context);
  // In pieces of a page's multiple, so that no two workers share a cache line.
  constexpr std::size_t piece = streams * 4096, pieces = bytes / piece;
  const std::size_t first = pieces * worker / workers, last = pieces * (worker + 1) / workers;
  self.sums_[worker % 1024 * 8] =
      sum_streams(self.buffer_.data() + first * piece, (last - first) * piece);
}

double ReadBandwidth::gigabytes_per_second() {
  const auto start = std::chrono::steady_clock::now();
  if (executor_.co_scheduled()) must(executor_.gang(sum, this));
  else sum(this, 0, 1);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::uint64_t total = 0;
  for (unsigned w = 0; w < 1024; ++w) total += std::exchange(sums_[w * 8], 0);
  constexpr std::uint64_t expected = std::uint64_t{0x0101010101010101} * (bytes / 8);
  if (total != expected)
    fail_with(Code::numeric, "bandwidth", "the sum of the buffer is wrong: not all of it was read");
  return static_cast<double>(bytes) / time.count() / 1e9;
}

WriteBandwidth::WriteBandwidth(Executor& executor)
    : executor_(executor), buffer_(must(Buffer::create(bytes, "write bandwidth"))) {
  std::memset(buffer_.data(), 1, bytes);
}

void WriteBandwidth::fill(void* context, unsigned worker, unsigned workers) noexcept {
  auto& self = *static_cast<WriteBandwidth*>(context);
  constexpr std::size_t piece = 4096, pieces = bytes / piece;
  const std::size_t first = pieces * worker / workers, last = pieces * (worker + 1) / workers;
  std::memset(self.buffer_.data() + first * piece, self.value_, (last - first) * piece);
}

double WriteBandwidth::gigabytes_per_second() {
  value_ = (value_ + 1) % 256;
  const auto start = std::chrono::steady_clock::now();
  if (executor_.co_scheduled()) must(executor_.gang(fill, this));
  else fill(this, 0, 1);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  if (static_cast<int>(buffer_.data()[bytes - 1]) != value_)
    fail_with(Code::numeric, "bandwidth", "the buffer was not written");
  return static_cast<double>(bytes) / time.count() / 1e9;
}

}  // namespace kedge::tools
