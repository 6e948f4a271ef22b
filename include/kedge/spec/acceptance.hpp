// How likely guesses hold, learnt as they are seen: for every source of drafts, by the place in the
// draft, by whether the draft before began well (texts copy in stretches, so hits and misses come
// in runs), and by the drafter's own confidence where it states one, which is calibrated: of
// guesses said to be 0.9 likely, how many held? All counts fade, so what was true of another
// stretch of text is forgotten, and all begin from a guess of a few observations' weight.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::spec {

// A share of successes: over the last few hundred observations, unless the last dozen say clearly
// otherwise (by more than three standard deviations), which then count alone, and with what was
// true in the long run as a prior.
struct FadingShare {
  float held = 0, tried = 0;
  float held_lately = 0, tried_lately = 0;
  float held_ever = 0, tried_ever = 0;

  void see(bool success) noexcept {
    const float one = success ? 1.0f : 0.0f;
    held = keep * held + one;
    tried = keep * tried + 1;
    held_ever = keep_ever * held_ever + one;
    tried_ever = keep_ever * tried_ever + 1;
    held_lately = keep_lately * held_lately + one;
    tried_lately = keep_lately * tried_lately + 1;
    const float all = held / tried, lately = held_lately / tried_lately;
    const float middle = 0.5f * (all + lately), off = all - lately;
    // A weight of one observation keeps certain shares from a deviation of 0.
    const float variance = (middle * (1 - middle) + 0.02f) / tried_lately;
    if (off * off > 10 * variance) {
      held = held_lately;
      tried = tried_lately;
    }
  }
  void fade(float by) noexcept {
    held *= by;
    tried *= by;
  }
  // Together with a prior share of so much weight.
  double share(double prior, double weight) const noexcept {
    const double ever = (static_cast<double>(held_ever) + prior * weight) /
                        (static_cast<double>(tried_ever) + weight);
    weight = std::max(weight, 3.0);
    prior = ever;
    return (static_cast<double>(held) + prior * weight) / (static_cast<double>(tried) + weight);
  }

 private:
  static constexpr float keep = 1 - 1.0f / 300, keep_lately = 1 - 1.0f / 10;
  static constexpr float keep_ever = 1 - 1.0f / 2000;
};

class Acceptance {
 public:
  static constexpr std::int64_t sources = 8, places = 32, bins = 10;

  // What one guess is judged by. `confidence` NaN: unknown.
  struct Guess {
    std::int32_t source = 0;
    std::int64_t place = 0;  // 0: the first
    float confidence = 0;
    bool after_hit = false;  // the first guess of the draft before held
  };

  // The probability that a guess holds, given that those before it do.
  double holds(const Guess& g) const noexcept {
    const Source& s = source(g.source);
    const auto state = static_cast<std::size_t>(g.after_hit);
    const double prior_first = g.after_hit ? 0.65 : 0.3;
    double share;
    if (g.place == 0) {
      share = s.first[state].share(prior_first, 1.5);
    } else {
      // Places are counted whatever came before (they would be too few otherwise), and all of them
      // are worth more or less after a hit.
      const double pool = s.later[state].share(0.85, 2), both = s.later[2].share(0.85, 2);
      share = std::min(s.place[place(g.place)].share(both, 4) * pool / both, 0.995);
    }
    if (!(g.confidence >= 0)) return share;
    return s.bin[bin(g.confidence)].share(static_cast<double>(std::min(g.confidence, 1.0f)), 4);
  }
  void see(const Guess& g, bool held) noexcept {
    Source& s = source(g.source);
    const auto state = static_cast<std::size_t>(g.after_hit);
    if (g.place == 0) {
      s.first[state].see(held);
    } else {
      s.later[state].see(held);
      s.later[2].see(held);
      s.place[place(g.place)].see(held);
    }
    if (g.confidence >= 0) s.bin[bin(g.confidence)].see(held);
  }
  // A new text: what was learnt from the last counts less. Calibration is the drafter's own and
  // stays.
  void begin() noexcept {
    for (Source& s : sources_) {
      for (FadingShare& share : s.first) share.fade(0.25f);
      for (FadingShare& share : s.later) share.fade(0.25f);
      for (FadingShare& share : s.place) share.fade(0.25f);
    }
  }
  // A round without a draft of this source: what was seen lately counts a little less, so that
  // after a bad stretch it is tried again.
  void rest(std::int32_t of) noexcept {
    for (FadingShare& share : source(of).first) share.fade(0.99f);
  }
  static std::size_t bin(float confidence) noexcept {
    const auto n = static_cast<float>(bins);
    return static_cast<std::size_t>(std::clamp(confidence * n, 0.0f, n - 1));
  }

 private:
  struct Source {
    std::array<FadingShare, 2> first{};  // after a miss, after a hit
    std::array<FadingShare, 3> later{};  // and all of them
    std::array<FadingShare, places> place{};
    std::array<FadingShare, bins> bin{};
  };
  static std::size_t place(std::int64_t place) noexcept {
    return static_cast<std::size_t>(std::clamp<std::int64_t>(place, 0, places - 1));
  }
  Source& source(std::int32_t i) noexcept {
    return sources_[static_cast<std::size_t>(std::clamp<std::int64_t>(i, 0, sources - 1))];
  }
  const Source& source(std::int32_t i) const noexcept {
    return sources_[static_cast<std::size_t>(std::clamp<std::int64_t>(i, 0, sources - 1))];
  }
  std::array<Source, sources> sources_{};
};

}  // namespace kedge::inline KEDGE_ABI::spec
