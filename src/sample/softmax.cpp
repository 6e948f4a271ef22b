#include "kedge/sample/softmax.hpp"

#include <limits>

#include "kedge/core/math.hpp"
#include "kedge/core/os/fp_env.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"

namespace kedge::inline KEDGE_ABI {

float log_probability(cpu::Isa isa, std::span<const float> logits, std::int32_t token,
                      std::span<Alternative> best) noexcept {
  const os::ScopedFpEnv fp;
  const cpu::SampleRowUnit& unit = cpu::sample_row_unit(isa);
  const auto count = static_cast<std::int64_t>(logits.size());
  const float largest = unit.largest(logits.data(), count);
  const double log_sum = math::log(unit.sum_of_exponentials(logits.data(), count, largest, 1.0));
  const auto logprob = [&](float logit) {
    return static_cast<float>((static_cast<double>(logit) - static_cast<double>(largest)) -
                              log_sum);
  };
  // A sorted list that few tokens ever enter.
  std::size_t held = 0;
  float least = -std::numeric_limits<float>::infinity();
  if (!best.empty())
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (held == best.size() && !(logits[i] > least)) continue;
      if (logits[i] != logits[i]) continue;
      std::size_t at = held < best.size() ? held++ : held - 1;
      for (; at > 0 && best[at - 1].logprob < logits[i]; --at) best[at] = best[at - 1];
      best[at] = {static_cast<std::int32_t>(i), logits[i]};
      least = best[held - 1].logprob;
    }
  for (Alternative& a : best) a.logprob = logprob(a.logprob);
  return logprob(logits[static_cast<std::size_t>(token)]);
}

}  // namespace kedge::inline KEDGE_ABI
