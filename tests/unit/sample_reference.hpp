// Sampling as sample/options.hpp states it, in long double with the C library's functions and
// sorted lists: slow, and nothing of the library's code but the noise's bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "kedge/sample/noise.hpp"
#include "kedge/sample/sampler.hpp"

namespace kedge::tests {

struct Candidate {
  std::int32_t id;
  float logit;
  long double probability;  // among those that temperature left
};

inline std::vector<float> adjusted_reference(const Sampler::Draw& draw, const SamplingOptions& o) {
  std::vector<float> x(draw.logits.begin(), draw.logits.end());
  std::vector<std::int32_t> text(draw.text.begin(), draw.text.end());
  text.insert(text.end(), draw.drafts.begin(), draw.drafts.end());
  if (o.penalty_window >= 0 && text.size() > static_cast<std::size_t>(o.penalty_window))
    text.erase(text.begin(), text.end() - o.penalty_window);
  std::map<std::int32_t, int> counts;
  for (const std::int32_t t : text) ++counts[t];
  for (const auto& [token, count] : counts) {
    double logit = x[static_cast<std::size_t>(token)];
    if (logit > 0) logit /= o.repetition_penalty;
    else logit *= o.repetition_penalty;
    logit -= count * o.frequency_penalty + o.presence_penalty;
    x[static_cast<std::size_t>(token)] = static_cast<float>(logit);
  }
  for (const LogitBias& b : o.logit_bias) {
    float& v = x[static_cast<std::size_t>(b.token)];
    v = static_cast<float>(static_cast<double>(v) + static_cast<double>(b.bias));
  }
  if (!draw.allowed.empty())
    for (std::size_t i = 0; i < x.size(); ++i)
      if ((draw.allowed[i / 32] >> i % 32 & 1u) == 0) x[i] = -INFINITY;
  return x;
}

// What may be drawn, most probable first.
inline std::vector<Candidate> candidates_reference(const Sampler::Draw& draw,
                                                   const SamplingOptions& o) {
  const std::vector<float> x = adjusted_reference(draw, o);
  std::vector<Candidate> kept;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] > -INFINITY) kept.push_back({static_cast<std::int32_t>(i), x[i], 0});
  std::stable_sort(kept.begin(), kept.end(),
                   [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  if (kept.empty()) return kept;
  if (o.temperature == 0) {
    kept.resize(1);
    kept[0].probability = 1;
    return kept;
  }
  if (o.top_k > 0 && kept.size() > static_cast<std::size_t>(o.top_k))
    kept.resize(static_cast<std::size_t>(o.top_k));
  long double sum = 0, before = 0;
  for (Candidate& c : kept) {
    c.probability = std::exp((static_cast<long double>(c.logit) - kept[0].logit) /
                             static_cast<long double>(o.temperature));
    sum += c.probability;
  }
  for (Candidate& c : kept) c.probability /= sum;
  std::size_t count = 0;
  for (; count < kept.size() && (count == 0 || before < static_cast<long double>(o.top_p)); ++count)
    before += kept[count].probability;
  if (o.top_p < 1) kept.resize(count);
  while (kept.size() > 1 &&
         kept.back().probability < static_cast<long double>(o.min_p) * kept[0].probability)
    kept.pop_back();
  sum = 0;
  for (const Candidate& c : kept) sum += c.probability;
  for (Candidate& c : kept) c.probability /= sum;
  return kept;
}

// -1: none may be drawn.
inline std::int32_t choose_reference(const Sampler::Draw& draw, const SamplingOptions& o) {
  const std::vector<Candidate> kept = candidates_reference(draw, o);
  if (kept.empty()) return -1;
  if (o.temperature == 0) return kept[0].id;
  std::int32_t best = -1;
  long double best_score = 0;
  for (const Candidate& c : kept) {
    const std::uint64_t bits = noise::bits(o.seed, draw.position, c.id);
    const long double w = (static_cast<long double>(bits) + 0.5L) * 0x1p-64L;
    const long double score =
        static_cast<long double>(c.logit) / static_cast<long double>(o.temperature) -
        std::log(-std::log1p(-w));
    if (best < 0 || score > best_score) {
      best = c.id;
      best_score = score;
    }
  }
  return best;
}

}  // namespace kedge::tests
