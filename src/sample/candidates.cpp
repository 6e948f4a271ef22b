// Steps 5 to 7 of sample/options.hpp: which tokens stay. Candidates are keys (sample/key.hpp) in
// one buffer of the vocabulary's size; every step looks at the few that the one before left.
#include <algorithm>
#include <functional>
#include <limits>

#include "kedge/core/math.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"
#include "kedge/sample/sampler.hpp"
#include "sample/key.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

}  // namespace

// The top_k largest. A buffer of a few times k is cut down to k whenever it is full, which raises
// the bar for what comes.
std::int64_t Sampler::keep_largest(const Row& row) noexcept {
  auto* keys = candidates_.as<std::uint64_t>();
  const auto k = std::min<std::int64_t>(options_.top_k, vocabulary_);
  const std::int64_t room = std::min(vocabulary_, 2 * k + 1024);
  std::int64_t count = 0;
  float least = -infinite;
  const auto cut = [&] {
    std::nth_element(keys, keys + (k - 1), keys + count, std::greater<>());
    count = k;
    least = sample::logit_of(keys[k - 1]);
  };
  for (std::size_t i = 0; i < row.logits.size(); ++i) {
    // Later ids lose against equal logits, so equal is not enough once there are k.
    if (!(row.logits[i] > least)) continue;
    if (count == room) {
      cut();
      if (!(row.logits[i] > least)) continue;
    }
    keys[count++] = sample::key_of(row.logits[i], static_cast<std::int32_t>(i));
  }
  if (count > k) cut();
  return count;
}

// Those at most `distance` below the largest, in units of the logits.
std::int64_t Sampler::keep_above(const Row& row, double distance) noexcept {
  auto* keys = candidates_.as<std::uint64_t>();
  const double bar = static_cast<double>(row.largest) - distance;
  // The next float below, so that the comparison in float drops nothing that belongs.
  const float least = static_cast<float>(bar - 1e-6 * (bar < 0 ? -bar : bar) - 1e-30);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < row.logits.size(); ++i)
    if (row.logits[i] >= least && row.logits[i] > -infinite)
      keys[count++] = sample::key_of(row.logits[i], static_cast<std::int32_t>(i));
  return count;
}

// The largest until their share of `sum`, in units of the largest one's probability, reaches top_p.
// They come off a heap: only as many are sorted as stay.
std::int64_t Sampler::keep_mass(const Row& row, std::int64_t count, double sum) noexcept {
  auto* keys = candidates_.as<std::uint64_t>();
  const double wanted = options_.top_p * sum;
  double mass = 0;
  std::make_heap(keys, keys + count);
  std::int64_t left = count;
  while (left > 0 && mass < wanted) {
    std::pop_heap(keys, keys + left);
    --left;
    const double logit = sample::logit_of(keys[left]);
    mass += math::exp((logit - static_cast<double>(row.largest)) / options_.temperature);
  }
  std::copy(keys + left, keys + count, keys);
  return count - left;
}

std::int64_t Sampler::collect(const Row& row, const Draw& draw) noexcept {
  auto* keys = candidates_.as<std::uint64_t>();
  const SamplingOptions& o = options_;
  const auto scaled = [&](std::uint64_t key) {
    return (static_cast<double>(sample::logit_of(key)) - static_cast<double>(row.largest)) /
           o.temperature;
  };
  const double log_min_p = o.min_p > 0 ? math::log(o.min_p) : -1e300;
  std::int64_t count = 0;
  if (o.top_k > 0) {
    if (row.logits.empty()) {
      count = o.top_k;
      for (std::int64_t i = 0; i < count; ++i)
        keys[i] = sample::key_of(draw.top_logits[static_cast<std::size_t>(i)],
                                 draw.top_ids[static_cast<std::size_t>(i)]);
    } else {
      count = keep_largest(row);
    }
    if (o.top_p < 1) {
      double sum = 0;
      std::sort(keys, keys + count, std::greater<>());
      for (std::int64_t i = 0; i < count; ++i) sum += math::exp(scaled(keys[i]));
      count = keep_mass(row, count, sum);
    }
  } else if (o.top_p < 1) {
    // All that is less probable than half of (1 - p) / V has less than 1 - p together, so the
    // largest that make up p are among the others.
    const double sum = cpu::sample_row_unit(isa_).sum_of_exponentials(
        row.logits.data(), vocabulary_, row.largest, 1.0 / o.temperature);
    const double bar = 0.5 * (1 - o.top_p) * sum / static_cast<double>(vocabulary_);
    count = keep_above(row, -math::log(std::min(bar, 1.0)) * o.temperature);
    count = keep_mass(row, count, sum);
  } else {
    count = keep_above(row, -log_min_p * o.temperature);
  }
  if (o.min_p > 0)
    count = std::remove_if(keys, keys + count,
                           [&](std::uint64_t key) { return scaled(key) < log_min_p; }) -
            keys;
  return count;
}

}  // namespace kedge::inline KEDGE_ABI
