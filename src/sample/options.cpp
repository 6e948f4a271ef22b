#include "kedge/sample/options.hpp"

#include <cmath>

namespace kedge::inline KEDGE_ABI {

Status check(const SamplingOptions& o, std::int64_t vocabulary) noexcept {
  constexpr const char* place = "sampling";
  constexpr auto bad = Code::invalid_argument;
  // Comparisons are written so that a NaN fails them.
  if (!(o.temperature == 0 || (o.temperature >= 1e-6 && o.temperature <= 1e6)))
    return fail(bad, place, "temperature: expected 0 or 1e-6 to 1e6, found %g", o.temperature);
  if (o.top_k < 0) return fail(bad, place, "top_k: expected 0 or more, found %d", o.top_k);
  if (!(o.top_p > 0 && o.top_p <= 1))
    return fail(bad, place, "top_p: expected above 0 and at most 1, found %g", o.top_p);
  if (!(o.min_p >= 0 && o.min_p <= 1))
    return fail(bad, place, "min_p: expected 0 to 1, found %g", o.min_p);
  if (!(o.repetition_penalty >= 1e-3 && o.repetition_penalty <= 1e3))
    return fail(bad, place, "repetition_penalty: expected 1e-3 to 1e3, 1 being none, found %g",
                o.repetition_penalty);
  if (!(std::fabs(o.frequency_penalty) <= 1e6))
    return fail(bad, place, "frequency_penalty: expected -1e6 to 1e6, found %g",
                o.frequency_penalty);
  if (!(std::fabs(o.presence_penalty) <= 1e6))
    return fail(bad, place, "presence_penalty: expected -1e6 to 1e6, found %g", o.presence_penalty);
  if (o.penalty_window < -1)
    return fail(bad, place, "penalty_window: expected -1 (the whole text) or more, found %lld",
                static_cast<long long>(o.penalty_window));
  for (const LogitBias& b : o.logit_bias) {
    if (b.token < 0 || b.token >= vocabulary)
      return fail(bad, place, "logit_bias: token %d is not in 0..%lld", b.token,
                  static_cast<long long>(vocabulary - 1));
    if (!(b.bias <= 1e6f))  // -infinity bans a token; +infinity would make NaN with it
      return fail(bad, place, "logit_bias: of token %d: expected at most 1e6, found %g", b.token,
                  static_cast<double>(b.bias));
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
