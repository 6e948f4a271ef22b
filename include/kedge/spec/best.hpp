// Best: drafts as far as makes the most tokens per second, which may be not at all.
//
// A round with k guesses yields 1 + S_1 + ... + S_k tokens, S_i being the probability that the
// first i guesses hold (spec/acceptance.hpp), and takes the drafter's time and that of a pass over
// 1 + k rows (spec/cost_model.hpp). Of all k, 0 included, the one with the largest quotient is
// taken. Everything is learnt as it runs; only the first round of all is plain, to have T(1).
//
// Where a draft costs next to nothing (an n-gram lookup), it is asked for always and judged when it
// is there. Guesses that were not evaluated are compared with what the text became, so that a
// stretch in which drafting does not pay costs nothing, and its end is seen at once. Where it costs
// more (a draft model), it is asked for when the quotient says so, and otherwise from time to time,
// out of a hundredth of the time that plain rounds take.
//
// Estimates may be wrong, and drafts may be made to mislead them. So losses against plain decoding
// are kept book of: once they exceed a few rounds and a hundredth of all time, rounds are plain
// until time (or guesses that would have held) has made up for it.
#pragma once

#include <array>
#include <cstdint>

#include "kedge/spec/acceptance.hpp"
#include "kedge/spec/cost_model.hpp"
#include "kedge/spec/window.hpp"

namespace kedge::inline KEDGE_ABI::window {

class KEDGE_API Best {
 public:
  struct Options {
    std::int64_t max = 31;   // guesses
    double margin = 0.01;    // a draft must promise so much more tokens per second than none
    double explore = 0.01;   // share of time that tries may cost,
    double reinvest = 0.15;  // and of what drafts have won
    double look = 0.005;     // share of time that longer drafts than usual may cost
    double worst_loss = 2;   // plain rounds that may be lost before drafting rests
  };
  Best() noexcept = default;
  explicit Best(const Options& options) noexcept : options_(options) {}

  void begin() noexcept;
  std::int64_t ask(std::int64_t most, std::int64_t position) noexcept;
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) noexcept;
  void learn(const Trial& trial) noexcept;
  const char* name() const noexcept { return "best"; }

  Choice choice() const noexcept { return choice_; }
  const spec::CostModel& costs() const noexcept { return costs_; }
  const spec::DraftCost& draft_cost() const noexcept { return draft_cost_; }
  const spec::Acceptance& acceptance() const noexcept { return acceptance_; }

 private:
  static constexpr std::int64_t room = 32;

  // Guesses to compare with the text as it comes.
  struct Shadow {
    std::array<std::int32_t, room> tokens{};
    std::array<float, room> confidences{};
    std::int64_t size = 0, matched = 0;
    std::int32_t source = 0;
    bool after_hit = false;
  };
  spec::Acceptance::Guess guess_of(const Shadow& shadow, std::int64_t i) const noexcept;
  bool follow(Shadow& shadow, std::span<const std::int32_t> tokens) noexcept;
  bool cheap(std::int64_t most) const noexcept;
  bool rests() const noexcept;
  std::int64_t longest_worth_asking(std::int64_t most, double& quotient) const noexcept;
  std::int64_t longer(std::int64_t length, std::int64_t most) noexcept;
  void choose(const char* reason, std::int64_t length, double tokens, double ms) noexcept;

  Options options_;
  spec::CostModel costs_;
  spec::DraftCost draft_cost_;
  spec::Acceptance acceptance_;
  std::array<spec::FadingShare, room> offered_{};  // whether drafts get so long when asked to
  Shadow now_, later_;  // of this round; of an earlier one that is not over
  bool after_hit_ = false;
  std::int32_t source_ = 0;               // of the last draft
  std::int64_t idle_ = 0;                 // rounds since something was asked for
  double tries_ms_ = 0;                   // that tries may cost by now
  double run_ms_ = 0, hit_worth_ms_ = 0;  // won since a hit; on average until the next miss
  double balance_ms_ = 0, total_ms_ = 0;  // won against plain decoding, of this text's time
  std::int64_t rounds_ = 0;
  double looks_ms_ = 0;  // that longer drafts may cost by now
  bool trying_ = false, looking_ = false;
  Choice choice_;
};

}  // namespace kedge::inline KEDGE_ABI::window
