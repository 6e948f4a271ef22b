#include "kedge/sample/sampler.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kedge/core/os/fp_env.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"
#include "sample/key.hpp"
#include "sample/race.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

std::int32_t index_of_largest(cpu::Isa isa, std::span<const float> logits) noexcept {
  const float largest =
      cpu::sample_row_unit(isa).largest(logits.data(), static_cast<std::int64_t>(logits.size()));
  if (!(largest > lowest)) return -1;
  return static_cast<std::int32_t>(std::find(logits.begin(), logits.end(), largest) -
                                   logits.begin());
}

}  // namespace

Result<Sampler> Sampler::create(cpu::Isa isa, std::int64_t vocabulary,
                                const SamplingOptions& options,
                                const Allocator& allocator) noexcept {
  constexpr const char* purpose = "sampler";
  if (vocabulary < 1 || vocabulary > INT32_MAX)
    return fail(Code::invalid_argument, purpose, "vocabulary: expected 1 to %d, found %lld",
                INT32_MAX, static_cast<long long>(vocabulary));
  KEDGE_CHECK(check(options, vocabulary));
  Sampler s;
  s.isa_ = isa;
  s.options_ = options;
  s.vocabulary_ = vocabulary;
  s.adjusts_ = options.penalizes() || !options.logit_bias.empty();
  const auto words = static_cast<std::size_t>(vocabulary) * 4;
  KEDGE_TRY(s.bias_, Buffer::create(options.logit_bias.size_bytes(), purpose, allocator));
  if (!options.logit_bias.empty())
    std::memcpy(s.bias_.data(), options.logit_bias.data(), options.logit_bias.size_bytes());
  s.options_.logit_bias = {s.bias_.as<const LogitBias>(), options.logit_bias.size()};
  // A constraint may come with any draw and needs the row as well.
  KEDGE_TRY(s.adjusted_, Buffer::create(words, purpose, allocator));
  KEDGE_TRY(s.counts_, Buffer::zeroed(options.penalizes() ? words : 0, purpose, allocator));
  KEDGE_TRY(s.candidates_, Buffer::create(options.truncates() ? 2 * words : 0, purpose, allocator));
  return s;
}

// Steps 1 to 3 of sample/options.hpp, in double, rounded to F32 after each.
void Sampler::adjust(const Draw& draw) noexcept {
  auto* x = adjusted_.as<float>();
  std::memcpy(x, draw.logits.data(), draw.logits.size_bytes());
  const SamplingOptions& o = options_;
  if (o.penalizes()) {
    auto* counts = counts_.as<std::int32_t>();
    const std::size_t all = draw.text.size() + draw.drafts.size();
    const std::size_t window =
        o.penalty_window < 0 ? all : std::min(all, static_cast<std::size_t>(o.penalty_window));
    const auto token = [&](std::size_t i) {
      return i < draw.text.size() ? draw.text[i] : draw.drafts[i - draw.text.size()];
    };
    for (std::size_t i = all - window; i < all; ++i) ++counts[token(i)];
    for (std::size_t i = all - window; i < all; ++i) {
      std::int32_t& count = counts[token(i)];
      if (count == 0) continue;
      double logit = x[token(i)];
      logit = logit > 0 ? logit / o.repetition_penalty : logit * o.repetition_penalty;
      logit -= static_cast<double>(count) * o.frequency_penalty + o.presence_penalty;
      x[token(i)] = static_cast<float>(logit);
      count = 0;
    }
  }
  for (const LogitBias& b : o.logit_bias)
    x[b.token] = static_cast<float>(static_cast<double>(x[b.token]) + static_cast<double>(b.bias));
  for (std::size_t word = 0; word < draw.allowed.size(); ++word) {
    if (draw.allowed[word] == ~std::uint32_t{0}) continue;
    const std::size_t first = word * 32, last = std::min(first + 32, draw.logits.size());
    for (std::size_t i = first; i < last; ++i)
      if ((draw.allowed[word] >> (i - first) & 1u) == 0) x[i] = lowest;
  }
}

// The row after steps 1 to 3, and its largest logit.
Result<Sampler::Row> Sampler::row_of(const Draw& draw) noexcept {
  const bool changed = adjusts_ || !draw.allowed.empty();
  Row row;
  if (!changed && options_.temperature > 0 && options_.top_k > 0 &&
      draw.top_ids.size() >= static_cast<std::size_t>(options_.top_k)) {
    row.largest = draw.top_logits[0];
    row.best = draw.top_ids[0];
    return row;
  }
  if (changed) adjust(draw);
  row.logits = changed ? std::span<const float>(adjusted_.as<const float>(), draw.logits.size())
                       : draw.logits;
  row.best = !changed && draw.largest >= 0 ? draw.largest : index_of_largest(isa_, row.logits);
  if (row.best < 0)
    return fail(Code::invalid_argument, "sampling", "no token is allowed at position %lld",
                static_cast<long long>(draw.position));
  row.largest = row.logits[static_cast<std::size_t>(row.best)];
  return row;
}

Result<std::int32_t> Sampler::choose(const Draw& draw) noexcept {
  const os::ScopedFpEnv fp;
  if (plain_greedy() && draw.allowed.empty() && draw.largest >= 0) return draw.largest;
  KEDGE_TRY(const Row row, row_of(draw));
  if (options_.temperature == 0) return row.best;
  sample::Race race(isa_, options_.seed, draw.position, options_.temperature);
  if (!options_.truncates()) {
    race.enter(row.best, row.largest);
    race.enter_all(row.logits);
    return race.winner();
  }
  const std::int64_t count = collect(row, draw);
  const auto* keys = candidates_.as<const std::uint64_t>();
  for (std::int64_t i = 0; i < count; ++i)
    race.enter(sample::id_of(keys[i]), sample::logit_of(keys[i]));
  return race.winner();
}

}  // namespace kedge::inline KEDGE_ABI
