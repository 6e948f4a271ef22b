// The race for the largest x - log E (sample/noise.hpp) among tokens that come in any order.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "kedge/kernel/cpu/phase.hpp"
#include "kedge/sample/noise.hpp"

namespace kedge::inline KEDGE_ABI::sample {

class Race {
 public:
  Race(cpu::Isa isa, std::uint64_t seed, std::int64_t position, double temperature) noexcept
      : isa_(isa), seed_(seed), position_(position), scale_(1.0 / temperature) {}

  void enter(std::int32_t token, float logit) noexcept {
    if (!(logit > -std::numeric_limits<float>::infinity())) return;
    const double score = static_cast<double>(logit) * scale_ -
                         noise::log_exponential(noise::bits(seed_, position_, token));
    if (winner_ < 0 || score > best_ || (score == best_ && token < winner_)) {
      best_ = score;
      winner_ = token;
    }
  }
  // All tokens; fast when a likely one entered before.
  void enter_all(std::span<const float> logits) noexcept;

  std::int32_t winner() const noexcept { return winner_; }  // -1: nobody entered

 private:
  cpu::Isa isa_;
  std::uint64_t seed_;
  std::int64_t position_;
  double scale_, best_ = -std::numeric_limits<double>::infinity();
  std::int32_t winner_ = -1;
};

}  // namespace kedge::inline KEDGE_ABI::sample
