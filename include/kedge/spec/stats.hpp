// Stats: what a session did, in the definitions of docs/architecture.md: proposed d, evaluated up
// to and including the first rejection, accepted a; tau = 1 + sum(a) / rounds. accepted/proposed
// and accepted/evaluated are different numbers and are never mixed.
#pragma once

#include <array>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

struct Stats {
  static constexpr int max_positions = 64;

  std::int64_t prompt_tokens = 0;
  std::int64_t prefills = 0;  // prompts evaluated: begin() and every extend()
  std::int64_t tokens = 0;    // generated
  std::int64_t rounds = 0;
  std::int64_t proposed = 0, evaluated = 0, accepted = 0;
  std::int64_t cut = 0;            // drafts that a constraint forbade, never evaluated or proposed
  std::int64_t rejected_rows = 0;  // rows evaluated by the target and undone
  // Rows evaluated again, of models with recurrent layers, because no state was kept behind them:
  // accepted rows of a round (policy checkpoint, or too small a depth), and those between a kept
  // position and where the text was rewound to.
  std::int64_t rerun_rows = 0;
  // reached[i]: rounds whose draft had more than i tokens; held[i]: rounds that accepted more than
  // i.
  std::array<std::int64_t, max_positions> reached{}, held{};
  // width[n]: rounds whose target pass had n rows.
  std::array<std::int64_t, max_positions + 2> width{};

  double prefill_ms = 0, draft_ms = 0, target_ms = 0, verify_ms = 0, commit_ms = 0, emit_ms = 0;

  constexpr double tau() const noexcept {
    return rounds == 0 ? 0 : 1 + static_cast<double>(accepted) / static_cast<double>(rounds);
  }
  constexpr double decode_ms() const noexcept {
    return draft_ms + target_ms + verify_ms + commit_ms + emit_ms;
  }
  // The first token after a prompt comes from the prompt's pass, the others from rounds.
  constexpr double tokens_per_second() const noexcept {
    return decode_ms() > 0 ? 1e3 * static_cast<double>(tokens - prefills) / decode_ms() : 0;
  }
};

}  // namespace kedge::inline KEDGE_ABI
