// Which panels of a Markov head's matrix may hold the largest sum (src/draft/markov_choice.hpp),
// once per ISA.
#pragma once

#include <cstdint>

#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

struct MarkovReachUnit {
  // The panels p of 16 logits, the last perhaps of fewer, where one is above least - reach[p] *
  // length: their numbers in order, at most `room` of them. Returns how many; room + 1 where there
  // are more. No logit is a NaN.
  std::int64_t (*panels)(const float* logits, std::int64_t n, const float* reach, float least,
                         float length, std::int32_t* found, std::int64_t room) noexcept;
};
KEDGE_DECLARE_UNITS(MarkovReachUnit, markov_reach)

}  // namespace kedge::inline KEDGE_ABI::cpu
