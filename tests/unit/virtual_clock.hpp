// Windows on a virtual clock: what a drafter would propose at every position of a text, and how
// much of it would hold, is known in advance (a trace); what rounds cost is a table. So a window
// can be compared with every fixed length in hindsight, with no machine in between.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "kedge/spec/windows.hpp"

namespace kedge::tests {

struct Trace {
  struct Position {
    std::int64_t proposed = 0, holds = 0;  // holds <= proposed
    float confidence = draft::Draft::unknown;
  };
  std::string name;
  std::vector<Position> positions;
};

struct Machine {
  const char* name = "";
  double plain_ms = 10;
  std::vector<double> ratio;                 // c(n) from 1 on; beyond its end the last step goes on
  double draft_ms = 0.01, guess_ms = 0.001;  // of the drafter
  double jitter = 0.05, outliers = 0.01;     // of what the window is told; the clock has neither

  double ms(std::int64_t rows) const {
    const auto last = static_cast<std::int64_t>(ratio.size());
    if (rows <= last) return plain_ms * ratio[static_cast<std::size_t>(rows - 1)];
    const double step = ratio.back() - ratio[ratio.size() - 2];
    return plain_ms * (ratio.back() + step * static_cast<double>(rows - last));
  }
};

struct Run {
  double ms = 0;
  std::int64_t rounds = 0, drafted = 0;
};

// `shows_tokens`: the window is told the tokens of a round, as sessions do.
inline Run run(window::AnyWindow& window, const Trace& trace, const Machine& machine,
               std::uint64_t seed, std::int64_t most = 16, bool shows_tokens = true) {
  std::mt19937_64 rng(seed);
  auto draft = *draft::Draft::create({.capacity = 32});
  const auto noisy = [&](double ms) {
    const double u = static_cast<double>(rng() >> 11) * 0x1p-53;
    const bool out = static_cast<double>(rng() >> 11) * 0x1p-53 < machine.outliers;
    return ms * (1 + machine.jitter * (2 * u - 1)) * (out ? 3 : 1);
  };
  Run total;
  const auto size = static_cast<std::int64_t>(trace.positions.size());
  std::vector<std::int32_t> tokens;
  window.begin();
  for (std::int64_t at = 0; at < size;) {
    const Trace::Position& here = trace.positions[static_cast<std::size_t>(at)];
    const std::int64_t room = std::min(most, size - at - 1);
    window::Trial trial;
    trial.position = at;
    double draft_ms = 0;
    draft.clear();
    if (room > 0) trial.asked = window.ask(room, at);
    if (trial.asked > 0) {
      trial.proposed = std::min(trial.asked, here.proposed);
      // The text's token at a position is its number.
      for (std::int64_t i = 0; i < trial.proposed; ++i)
        draft.push(static_cast<std::int32_t>(i < here.holds ? at + i : -1), here.confidence);
      draft_ms = machine.draft_ms + machine.guess_ms * static_cast<double>(trial.proposed);
      if (trial.proposed > 0) draft.cut(window.keep(draft, room));
    }
    trial.kept = draft.size();
    trial.accepted = std::min(trial.kept, here.holds);
    trial.evaluated = std::min(trial.kept, trial.accepted + 1);
    trial.rows = 1 + trial.kept;
    trial.confidences = draft.confidences();
    tokens.clear();
    for (std::int64_t i = 0; i <= trial.accepted; ++i)
      tokens.push_back(static_cast<std::int32_t>(at + i));
    if (shows_tokens) trial.tokens = tokens;
    trial.draft_ms = trial.asked > 0 ? noisy(draft_ms) : 0;
    trial.target_ms = noisy(machine.ms(trial.rows));
    window.learn(trial);
    total.ms += draft_ms + machine.ms(trial.rows);
    total.drafted += trial.kept > 0 ? 1 : 0;
    ++total.rounds;
    at += 1 + trial.accepted;
  }
  return total;
}

struct Hindsight {
  double ms = 0;
  std::int64_t length = 0;
};
inline Hindsight best_fixed(const std::vector<Trace>& traces, const Machine& machine,
                            std::int64_t most = 16) {
  Hindsight best;
  for (std::int64_t length = 0; length <= most; ++length) {
    double ms = 0;
    for (const Trace& trace : traces) {
      auto window = *window::AnyWindow::make(window::Fixed(length));
      ms += run(window, trace, machine, 1, most).ms;
    }
    if (length == 0 || ms < best.ms) best = {ms, length};
  }
  return best;
}

// Guesses hold with probability h, one after the other, wherever one looks.
struct Stretch {
  std::int64_t tokens = 0;
  double holds = 0;
};
inline Trace made_up(const std::string& name, const std::vector<Stretch>& stretches,
                     std::uint64_t seed, std::int64_t most = 16, bool copies = false) {
  std::mt19937_64 rng(seed);
  Trace trace;
  trace.name = name;
  for (const Stretch& s : stretches)
    for (std::int64_t i = 0; i < s.tokens; ++i) {
      std::int64_t holds = 0;
      while (holds < most && static_cast<double>(rng() >> 11) * 0x1p-53 < s.holds) ++holds;
      // A copier that is right about the next five is right about four of them one token later.
      if (copies && !trace.positions.empty())
        holds = std::max(holds, trace.positions.back().holds - 1);
      trace.positions.push_back({most, std::min(holds, most)});
    }
  return trace;
}

// Texts that were recorded: kedge bench speculation --traces.
inline std::vector<Trace> recorded(const char* path) {
  const auto digit = [](char c) -> std::int64_t { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<Trace> traces;
  std::ifstream file(path);
  std::string name, proposed, holds;
  while (std::getline(file, name) && std::getline(file, proposed) && std::getline(file, holds)) {
    Trace& trace = traces.emplace_back();
    trace.name = name;
    for (std::size_t i = 0; i < proposed.size(); ++i)
      trace.positions.push_back({digit(proposed[i]), digit(holds[i])});
  }
  return traces;
}

inline std::vector<Machine> machines() {
  const std::vector<double> cpu = {1,    1.10, 1.17, 1.31, 1.32, 1.54, 1.63, 1.71,
                                   1.84, 1.93, 2.06, 2.19, 2.35, 2.52, 2.61, 2.70};
  const std::vector<double> dear = {1, 1.46, 1.8, 2.1, 2.5, 2.8, 3.2, 3.55, 4, 4.4, 4.8, 5.2};
  const std::vector<double> flat = {1, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.6, 1.62};
  return {{"wide rows cheap, lookup", 10, cpu},
          {"wide rows dear, lookup", 10, dear},
          {"flat with a step, lookup", 10, flat},
          {"wide rows cheap, draft model", 10, cpu, 0.3, 1.0},
          {"wide rows dear, draft model", 10, dear, 0.3, 1.0},
          {"wide rows cheap, block drafter", 10, cpu, 1.5, 0.02}};
}

}  // namespace kedge::tests
