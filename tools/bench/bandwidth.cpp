#include "bench/bandwidth.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "common/failure.hpp"

namespace kedge::tools {

namespace {

constexpr std::size_t lanes = 32;  // accumulators: 16 vectors of SSE2, enough to hide every latency

std::uint64_t sum_words(const std::uint64_t* words, std::size_t count) noexcept {
  std::uint64_t sum[lanes] = {};
  for (std::size_t i = 0; i + lanes <= count; i += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) sum[lane] += words[i + lane];
  std::uint64_t total = 0;
  for (const std::uint64_t part : sum) total += part;
  return total;
}

}  // namespace

ReadBandwidth::ReadBandwidth(Executor& executor)
    : executor_(executor), buffer_(must(Buffer::create(bytes, "read bandwidth"))) {
  std::memset(buffer_.data(), 1, bytes);
}

void ReadBandwidth::sum(void* context, unsigned worker, unsigned workers) noexcept {
  auto& self = *static_cast<ReadBandwidth*>(context);
  // In pieces of a page's multiple, so that no two workers share a cache line.
  constexpr std::size_t piece = 4096, pieces = bytes / piece;
  const std::size_t first = pieces * worker / workers, last = pieces * (worker + 1) / workers;
  self.sums_[worker % 1024 * 8] =
      sum_words(self.buffer_.as<std::uint64_t>(first * piece), (last - first) * piece / 8);
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
