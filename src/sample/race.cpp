// Drawing from a whole vocabulary. Philox costs more than everything else, so one block serves four
// tokens, and the upper 32 bits of a token's noise mostly show that it cannot win
// (kernel/cpu/sample_row-inl.hpp). What passes goes through the exact comparison in double, so that
// the filter decides about time only.
#include "sample/race.hpp"

#include <cmath>

#include "kedge/core/math.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"

namespace kedge::inline KEDGE_ABI {

namespace noise {

double log_exponential(std::uint64_t bits) noexcept {
  const double w = (static_cast<double>(bits) + 0.5) * 0x1p-64;
  if (w < 0x1p-6) {  // -log(1 - w) = w + w^2/2 + w^3/3 + ...; w^10/10 is below 2^-57 w
    double series = 0;
    for (int k = 9; k >= 1; --k) series = series * w + 1.0 / static_cast<double>(k);
    return math::log(w * series);
  }
  // 1 - w from the bits themselves: exact also where w is near 1.
  return math::log(-math::log((static_cast<double>(~bits) + 0.5) * 0x1p-64));
}

}  // namespace noise

namespace sample {

void Race::enter_all(std::span<const float> logits) noexcept {
  constexpr double log2_e = 1.4426950408889634;
  const cpu::SampleRowUnit& unit = cpu::sample_row_unit(isa_);
  const auto count = static_cast<std::int64_t>(logits.size());
  const cpu::RaceView view{logits.data(), count - count % cpu::noise_group, seed_, position_,
                           static_cast<float>(scale_ * log2_e)};
  float bounds[cpu::noise_group];
  std::int64_t first = 0;
  for (;; first += cpu::noise_group) {
    // Below the best by more than float's rounding of either side can hide.
    const double best = best_ * log2_e;
    const auto least = static_cast<float>(best - 0.01 - 1e-6 * std::fabs(best));
    first = unit.next_group(view, first, least, bounds);
    if (first >= view.count) break;
    for (std::int64_t i = 0; i < cpu::noise_group; ++i)
      if (bounds[i] >= least)
        enter(static_cast<std::int32_t>(first + i), logits[static_cast<std::size_t>(first + i)]);
  }
  for (first = view.count; first < count; ++first)
    enter(static_cast<std::int32_t>(first), logits[static_cast<std::size_t>(first)]);
}

}  // namespace sample

}  // namespace kedge::inline KEDGE_ABI
