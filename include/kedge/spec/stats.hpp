// Stats: what a session did, in the definitions of docs/architecture.md: proposed d, evaluated up
// to and including the first rejection, accepted a; tau = 1 + sum(a) / rounds. accepted/proposed
// and accepted/evaluated are different numbers and are never mixed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "kedge/spec/window.hpp"

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

  // By draft::Draft::source: which member of a chain of drafters.
  static constexpr std::size_t sources = 8;
  struct Source {
    std::int64_t rounds = 0, proposed = 0, evaluated = 0, accepted = 0;  // with a draft of its own
  };
  std::array<Source, sources> source{};

  // Evaluated guesses whose drafter said how sure it was, by tenths of that confidence.
  static constexpr std::size_t bins = 10;
  struct Bin {
    std::int64_t guesses = 0, held = 0;
    double confidence = 0;  // sum
  };
  std::array<Bin, bins> bin{};

  // Rounds of one row without the drafter's time: what plain decoding takes.
  std::int64_t plain_rounds = 0;
  double plain_ms = 0;
  // What the window expected of its rounds, and why it chose their lengths.
  double expected_tokens = 0, expected_ms = 0, expected_plain_ms = 0;
  struct Reason {
    const char* text = nullptr;  // as window::Choice::reason
    std::int64_t rounds = 0, drafts = 0;
  };
  std::array<Reason, 8> reason{};
  window::Choice choice;  // of the last round

  // A round that is over, and what its window said of it.
  void see(const window::Trial& t, const window::Choice& why) noexcept {
    if (t.rows == 1) {
      ++plain_rounds;
      plain_ms += t.target_ms + t.other_ms;
    }
    if (t.proposed > 0) {
      Source& s = source[static_cast<std::size_t>(
          std::clamp<std::int32_t>(t.source, 0, static_cast<std::int32_t>(sources) - 1))];
      ++s.rounds;
      s.proposed += t.proposed;
      s.evaluated += t.evaluated;
      s.accepted += t.accepted;
    }
    const std::size_t known = std::min(t.confidences.size(), static_cast<std::size_t>(t.evaluated));
    for (std::size_t i = 0; i < known; ++i) {
      const float c = t.confidences[i];
      if (!(c >= 0)) continue;
      const float sure = std::min(c, 1.0f), tenths = sure * static_cast<float>(bins);
      Bin& b = bin[std::min(static_cast<std::size_t>(tenths), bins - 1)];
      ++b.guesses;
      b.held += static_cast<std::int64_t>(i) < t.accepted ? 1 : 0;
      b.confidence += static_cast<double>(sure);
    }
    choice = why;
    if (why.round_ms > 0 && why.plain_ms > 0) {
      expected_tokens += why.tokens;
      expected_ms += why.round_ms;
      expected_plain_ms += why.tokens * why.plain_ms;
    }
    for (Reason& r : reason) {
      if (r.text != nullptr && r.text != why.reason) continue;
      r.text = why.reason;
      ++r.rounds;
      r.drafts += t.kept;
      break;
    }
  }

  // Confidence against outcome: the expected calibration error, the mean over evaluated guesses of
  // |confidence - share that held| of their tenth (Naeini et al. 2015); NaN where nothing is known.
  double calibration_error() const noexcept {
    double sum = 0;
    std::int64_t guesses = 0;
    for (const Bin& b : bin) {
      const double off = b.confidence - static_cast<double>(b.held);
      sum += off < 0 ? -off : off;
      guesses += b.guesses;
    }
    return guesses > 0 ? sum / static_cast<double>(guesses) : double{draft::Draft::unknown};
  }
  // Unconditional: the share of all rounds in which guesses held up to and including a place; and
  // conditional: of the rounds that held so far and had a guess there.
  constexpr double survival(std::size_t place) const noexcept {
    return rounds == 0 ? 0 : static_cast<double>(held[place]) / static_cast<double>(rounds);
  }
  constexpr double conditional(std::size_t place) const noexcept {
    // Drafts that end before this place took no part: reached counts those that do.
    const std::int64_t before = place == 0 ? reached[0] : std::min(held[place - 1], reached[place]);
    return before == 0 ? 0 : static_cast<double>(held[place]) / static_cast<double>(before);
  }
  // Against rounds of one row as they were measured in this run; 0 when there were none.
  constexpr double measured_speedup() const noexcept {
    if (plain_rounds == 0 || !(decode_ms() > 0)) return 0;
    return static_cast<double>(tokens - prefills) * plain_ms / static_cast<double>(plain_rounds) /
           decode_ms();
  }
  constexpr double expected_speedup() const noexcept {
    return expected_ms > 0 ? expected_plain_ms / expected_ms : 0;
  }

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
