// How often guesses of a drafter hold that copies what followed a match: by the length of the match
// and by what its earlier occurrences say. Rates begin at a guess of their own, follow what happens
// (a moving average over about 16 guesses), and go back to their beginning when nothing is
// heard, so that a drafter which was right too seldom to be asked gets another chance.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "kedge/core/config.hpp"
#include "kedge/draft/draft.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class HoldRates {
 public:
  static constexpr std::size_t lengths = 7, opinions = 4;
  static constexpr std::uint8_t none = 255;  // a cell from which nothing is learned

  HoldRates() noexcept { reset(); }
  void reset() noexcept {
    for (std::size_t cell = 0; cell < rate_.size(); ++cell) rate_[cell] = first(cell);
  }

  // A match of `length` tokens; `agreeing` of `seen` earlier occurrences went on with the guess.
  static std::uint8_t cell(std::int64_t length, std::int64_t agreeing, std::int64_t seen) noexcept {
    const auto wide = static_cast<std::uint64_t>(std::max<std::int64_t>(length, 1));
    const auto row = std::min<std::size_t>(lengths - 1, std::bit_width(wide) - 1u);  // 1 2 4 .. 64
    const std::size_t opinion = agreeing == seen           ? (seen <= 1 ? 0 : 1)
                                : 4 * agreeing >= 3 * seen ? 2
                                                           : 3;
    return static_cast<std::uint8_t>(row * opinions + opinion);
  }
  float rate(std::uint8_t cell) const noexcept { return rate_[cell]; }
  void learn(std::uint8_t cell, bool held) noexcept {
    if (cell == none) return;
    rate_[cell] += ((held ? 1.0f : 0.0f) - rate_[cell]) / 16;
  }
  // Once a round.
  void fade() noexcept {
    for (std::size_t cell = 0; cell < rate_.size(); ++cell)
      rate_[cell] += (first(cell) - rate_[cell]) / 256;
  }

 private:
  // About what was measured over greedy texts of a small model (docs/drafters.md).
  static float first(std::size_t cell) noexcept {
    // The one occurrence says so; all of several; three quarters or more; less.
    constexpr float rates[lengths][opinions] = {
        {0.25f, 0.50f, 0.35f, 0.20f}, {0.55f, 0.82f, 0.70f, 0.35f}, {0.72f, 0.88f, 0.75f, 0.38f},
        {0.86f, 0.94f, 0.80f, 0.50f}, {0.91f, 0.97f, 0.85f, 0.55f}, {0.95f, 0.98f, 0.88f, 0.60f},
        {0.97f, 0.99f, 0.90f, 0.65f}};
    return rates[cell / opinions][cell % opinions];
  }
  std::array<float, lengths * opinions> rate_;
};

// The last proposal, kept to be compared with the text when that has gone on: what the text says of
// a guess is known where it says what stands there and the guesses before it held. So guesses that
// were cut off, by a budget or a window, count for nothing and against nobody.
class LastGuesses {
 public:
  static constexpr std::size_t most = 64;

  void begin(std::int64_t position) noexcept {
    position_ = position;
    size_ = 0;
  }
  void push(std::int32_t token, std::int64_t parent, std::uint8_t cell) noexcept {
    if (size_ == most) return;
    guess_[size_++] = {token, static_cast<std::int16_t>(parent), cell};
  }
  std::size_t size() const noexcept { return size_; }

  struct Truth {
    std::int64_t known = 0;  // of a chain's guesses, counted from the first
    std::int64_t held = 0;
  };
  // Calls told(cell, held) for every guess of which the text says whether it held.
  template <class Told>
  Truth compare(std::span<const std::int32_t> text, Told&& told) const noexcept {
    Truth truth;
    std::array<std::int16_t, most> depth;  // of guesses that held, 1 for the first; 0: it did not
    for (std::size_t i = 0; i < size_; ++i) {
      const Guess& g = guess_[i];
      const std::int16_t before = g.parent < 0 ? 0 : depth[static_cast<std::size_t>(g.parent)];
      depth[i] = 0;
      const std::int64_t at = position_ + before;
      if ((g.parent >= 0 && before == 0) || at >= static_cast<std::int64_t>(text.size())) continue;
      const bool held = text[static_cast<std::size_t>(at)] == g.token;
      if (held) depth[i] = static_cast<std::int16_t>(before + 1);
      ++truth.known;
      truth.held += held ? 1 : 0;
      told(g.cell, held);
    }
    return truth;
  }

 private:
  struct Guess {
    std::int32_t token;
    std::int16_t parent;
    std::uint8_t cell;
  };
  std::array<Guess, most> guess_;
  std::size_t size_ = 0;
  std::int64_t position_ = 0;
};

// Both, for a drafter that copies.
class Experience {
 public:
  void reset() noexcept {
    rates_.reset();
    last_.begin(0);
  }
  void begin(std::int64_t position) noexcept {
    rates_.fade();
    last_.begin(position);
  }
  float rate(std::uint8_t cell) const noexcept { return rates_.rate(cell); }
  // Behind the guess before. False when it is less sure than was asked for, or there is no room: it
  // was not made.
  bool push(const Ask& ask, Draft& draft, std::int32_t token, std::uint8_t cell) noexcept {
    const float confidence = rates_.rate(cell);
    if (confidence < ask.least_confidence || draft.size() >= ask.count || draft.full())
      return false;
    push(draft, draft.size() - 1, token, cell, confidence);
    return true;
  }
  // A branch of a tree.
  void push(Draft& draft, std::int64_t parent, std::int32_t token, std::uint8_t cell,
            float confidence) noexcept {
    draft.push_behind(parent, token, confidence);
    last_.push(token, parent, cell);
  }
  LastGuesses::Truth learn(std::span<const std::int32_t> text) noexcept {
    return last_.compare(text, [this](std::uint8_t cell, bool held) { rates_.learn(cell, held); });
  }
  std::size_t proposed() const noexcept { return last_.size(); }

 private:
  HoldRates rates_;
  LastGuesses last_;
};

}  // namespace kedge::inline KEDGE_ABI::draft
