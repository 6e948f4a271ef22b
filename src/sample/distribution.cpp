// What a sampler draws from, as probabilities.
#include <algorithm>
#include <functional>
#include <limits>

#include "kedge/core/math.hpp"
#include "kedge/core/os/fp_env.hpp"
#include "kedge/sample/sampler.hpp"
#include "sample/key.hpp"

namespace kedge::inline KEDGE_ABI {

std::int64_t Sampler::most_tokens() const noexcept {
  if (options_.temperature == 0) return 1;
  return options_.top_k > 0 ? std::min<std::int64_t>(options_.top_k, vocabulary_) : vocabulary_;
}

Result<Distribution> Sampler::distribution(const Draw& draw, std::span<std::int32_t> tokens,
                                           std::span<float> probabilities) noexcept {
  const os::ScopedFpEnv fp;
  const auto room = static_cast<std::int64_t>(std::min(tokens.size(), probabilities.size()));
  if (room < most_tokens())
    return fail(Code::invalid_argument, "sampling",
                "room for a distribution: expected %lld entries, found %lld",
                static_cast<long long>(most_tokens()), static_cast<long long>(room));
  if (plain_greedy() && draw.allowed.empty() && draw.largest >= 0) {
    tokens[0] = draw.largest;
    probabilities[0] = 1;
    return Distribution{tokens.first(1), probabilities.first(1)};
  }
  KEDGE_TRY(const Row row, row_of(draw));
  if (options_.temperature == 0) {
    tokens[0] = row.best;
    probabilities[0] = 1;
    return Distribution{tokens.first(1), probabilities.first(1)};
  }
  std::size_t count = 0;
  double sum = 0;
  // In units of the most probable one's, which is 1, so the sum cannot vanish.
  const auto take = [&](std::int32_t token, float logit) {
    if (!(logit > -std::numeric_limits<float>::infinity())) return;
    const double weight = math::exp(
        (static_cast<double>(logit) - static_cast<double>(row.largest)) / options_.temperature);
    const auto stored = static_cast<float>(weight);
    if (!(stored > 0)) return;
    tokens[count] = token;
    probabilities[count++] = stored;
    sum += weight;
  };
  if (options_.truncates()) {
    const std::int64_t kept = collect(row, draw);
    auto* keys = candidates_.as<std::uint64_t>();
    std::sort(keys, keys + kept, std::greater<>());  // the library's own order is its own affair
    for (std::int64_t i = 0; i < kept; ++i) take(sample::id_of(keys[i]), sample::logit_of(keys[i]));
  } else {
    for (std::size_t i = 0; i < row.logits.size(); ++i)
      take(static_cast<std::int32_t>(i), row.logits[i]);
  }
  for (std::size_t i = 0; i < count; ++i)
    probabilities[i] = static_cast<float>(static_cast<double>(probabilities[i]) / sum);
  return Distribution{tokens.first(count), probabilities.first(count)};
}

}  // namespace kedge::inline KEDGE_ABI
