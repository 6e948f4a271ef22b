// The thresholds of 16 panels are made together, then each is compared with its panel at once.
#include "kedge/kernel/cpu/markov_reach.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

std::int64_t panels_in_reach(const float* logits, std::int64_t n, const float* reach, float least,
                             float length, std::int32_t* found, std::int64_t room) noexcept {
  const std::int64_t panels = (n + 15) / 16;
  std::int64_t count = 0;
  float threshold[16];
  for (std::int64_t base = 0; base < panels; base += 16) {
    const auto side = static_cast<int>(panels - base < 16 ? panels - base : 16);
    store(threshold, sub(set1(least), mul(load_first(reach + base, side), set1(length))));
    for (int i = 0; i < side; ++i) {
      const std::int64_t p = base + i;
      const F32x16 lowest = set1(-__builtin_inff());
      const auto left = static_cast<int>(n - 16 * p < 16 ? n - 16 * p : 16);
      const F32x16 x = left == 16 ? load(logits + 16 * p)
                                  : select(first(left), load_first(logits + 16 * p, left), lowest);
      if (!any(greater(x, set1(threshold[i])))) continue;
      if (count == room) return room + 1;
      found[count++] = static_cast<std::int32_t>(p);
    }
  }
  return count;
}

}  // namespace
}  // namespace KEDGE_ISA

extern const MarkovReachUnit KEDGE_UNIT(markov_reach);
const MarkovReachUnit KEDGE_UNIT(markov_reach) = {KEDGE_ISA::panels_in_reach};

}  // namespace kedge::inline KEDGE_ABI::cpu
