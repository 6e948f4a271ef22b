// SamplingOptions: how a token is drawn from logits. The order is that of Hugging Face's
// transformers, with llama.cpp's penalties:
//   1. penalties over the last `penalty_window` tokens of the text, the prompt included: repetition
//      (Keskar et al. 2019: a logit above 0 is divided, one below multiplied), then
//      count * frequency + presence is subtracted
//   2. logit_bias is added
//   3. tokens that a constraint forbids are taken out
//   4. temperature divides the logits
//   5. top_k keeps the k largest; of equal ones the lower ids
//   6. top_p keeps the largest until their probability, among those that top_k left, reaches p
//   7. min_p drops what is less probable than min_p times the most probable one
// Temperature 0 takes the largest after step 3, of equal ones the lowest id.
#pragma once

#include <cstdint>
#include <span>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI {

struct LogitBias {
  std::int32_t token = 0;
  float bias = 0;  // -infinity bans the token
};

struct SamplingOptions {
  double temperature = 0;  // 0: greedy; else 1e-6 to 1e6
  std::int32_t top_k = 0;  // 0: all
  double top_p = 1;        // above 0, at most 1: all
  double min_p = 0;        // 0: all; at most 1
  double repetition_penalty = 1;
  double frequency_penalty = 0, presence_penalty = 0;
  std::int64_t penalty_window = 64;            // tokens; -1: the whole text
  std::span<const LogitBias> logit_bias = {};  // copied by whoever takes the options
  std::uint64_t seed = 0;

  constexpr bool penalizes() const noexcept {
    return penalty_window != 0 &&
           (repetition_penalty != 1 || frequency_penalty != 0 || presence_penalty != 0);
  }
  constexpr bool truncates() const noexcept { return top_k > 0 || top_p < 1 || min_p > 0; }
};

// Code::invalid_argument names the field, what it may be and what it is.
KEDGE_API Status check(const SamplingOptions& options, std::int64_t vocabulary) noexcept;

}  // namespace kedge::inline KEDGE_ABI
