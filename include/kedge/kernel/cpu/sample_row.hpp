// What sampling does to whole rows of logits, once per ISA: the same bytes on all.
#pragma once

#include <cstdint>

#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

// Tokens whose noise is made at once: they share 16 counters (sample/noise.hpp).
constexpr std::int64_t noise_group = 64;

// The race of sample/noise.hpp as a filter sees it: token t may win when `bound`, which is not
// below (x[t] * scale - log2 E) for any E that its upper noise bits allow, reaches `least`.
struct RaceView {
  const float* x;
  std::int64_t count;  // multiple of noise_group
  std::uint64_t seed;
  std::int64_t position;
  float scale;  // log2(e) / temperature
};

struct SampleRowUnit {
  // The largest value; -infinity for none. NaNs are passed over.
  float (*largest)(const float* x, std::int64_t n) noexcept;
  // Sum of exp((x - largest) * scale), value i in lane i mod 8.
  double (*sum_of_exponentials)(const float* x, std::int64_t n, float largest,
                                double scale) noexcept;
  // The same to about 1e-6 of itself, value i in lane i mod 32, in a quarter of the time: how sure
  // a drafter is does not have to be known better.
  float (*quick_sum_of_exponentials)(const float* x, std::int64_t n, float largest,
                                     float scale) noexcept;
  // The first group at or after `from` with a token that may win, and the bounds of its tokens;
  // race.count when there is none.
  std::int64_t (*next_group)(const RaceView& race, std::int64_t from, float least,
                             float* bounds) noexcept;
};
KEDGE_DECLARE_UNITS(SampleRowUnit, sample_row)

}  // namespace kedge::inline KEDGE_ABI::cpu
