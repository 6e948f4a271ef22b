// Probabilities under logits, in double, with one order of summation: equal on every machine.
#pragma once

#include <cstdint>
#include <span>

#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::inline KEDGE_ABI {

struct Alternative {
  std::int32_t id = 0;
  float logprob = 0;
};

// Natural logarithm of the token's probability under softmax(logits), which hold no NaN. Fills
// `best`, of at most logits.size() entries, with the most probable tokens, descending, of equal
// ones the lower id first. `isa`: a chosen one, as Cpu::isa() says; it changes no byte.
KEDGE_API float log_probability(cpu::Isa isa, std::span<const float> logits, std::int32_t token,
                                std::span<Alternative> best = {}) noexcept;

}  // namespace kedge::inline KEDGE_ABI
