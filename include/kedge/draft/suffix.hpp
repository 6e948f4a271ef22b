// suffix: after each suffix of the text that occurred before, what followed it, and how often. The
// idea of SuffixDecoding (Oliaro et al. 2024, arXiv 2411.04975) over a suffix automaton
// (suffix_automaton.hpp). How sure a guess is comes from the length of the suffix, from how many of
// its occurrences went on so, and from how often such guesses held (hold_rates.hpp).
//
// A chain: from each of the longest suffixes, always go on with what followed most often (the one
// that came up last, among equals); the suffix wins whose guesses are expected to give most tokens.
// A tree: the most probable guess first, whatever its parent; what the longest suffix leaves
// undecided is for the shorter ones.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/hold_rates.hpp"
#include "kedge/draft/suffix_automaton.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Suffix {
 public:
  struct Options {
    std::int64_t length = 16;      // guesses at most
    bool branches = true;          // makes trees where they are asked for
    std::int32_t min_match = 1;    // shortest suffix that counts
    std::int32_t depth = 64;       // longest suffix that is looked at
    std::int64_t capacity = 8193;  // tokens of the text
    Allocator allocator = default_allocator();
  };

  static Result<Suffix> create(const Options& options) noexcept {
    if (options.length < 1 || options.min_match < 1 || options.depth < options.min_match)
      return fail(Code::invalid_argument, "suffix",
                  "expected length and min_match of 1 or more and depth of min_match or more, "
                  "found %lld, %d, %d",
                  static_cast<long long>(options.length), options.min_match, options.depth);
    Suffix suffix;
    suffix.options_ = options;
    KEDGE_TRY(suffix.automaton_,
              SuffixAutomaton::create({options.capacity, options.depth, options.allocator}));
    KEDGE_TRY(suffix.memory_,
              Buffer::create(sizeof(Branch) * max_branches, "suffix", options.allocator));
    suffix.branches_ = {new (suffix.memory_.data()) Branch[max_branches], max_branches};
    return suffix;
  }

  Status begin(std::span<const std::int32_t> tokens) noexcept {
    automaton_.clear();
    experience_.reset();
    return append(tokens);
  }
  Status append(std::span<const std::int32_t> tokens) noexcept { return automaton_.append(tokens); }
  Status truncate(std::int64_t count) noexcept {
    automaton_.truncate(count);
    return {};
  }
  Status propose(const Ask& ask, Draft& draft) noexcept {
    experience_.begin(automaton_.size());
    if (ask.tree && options_.branches) tree(ask, draft);
    else chain(ask, draft);
    return {};
  }
  void feedback(const Outcome&) noexcept { experience_.learn(automaton_.text()); }
  const char* name() const noexcept { return "suffix"; }

 private:
  using Place = SuffixAutomaton::Place;
  static constexpr int max_starts = 8;              // suffixes of which a chain may begin
  static constexpr int tree_starts = 3;             // of which a guess may have successors
  static constexpr std::size_t tree_width = 4;      // successors of a guess
  static constexpr float least_chance = 1 / 64.0f;  // of the branch from the text to a guess
  static constexpr std::size_t max_branches = tree_width * (LastGuesses::most + 1);

  // What mostly followed a place.
  struct Next {
    std::int32_t token = -1;
    std::int64_t agreeing = 0, seen = 0;
  };
  Next next(Place place) const noexcept {
    Next next;
    automaton_.followers(place, [&](std::int32_t token, std::int64_t count) {
      next.seen += count;
      if (count > next.agreeing) next.token = token, next.agreeing = count;
    });
    return next;
  }

  // Tells take(token, cell) one guess after another, until it returns false.
  template <class Take>
  void walk(Place place, Take&& take) const noexcept {
    for (std::int64_t i = 0;; ++i) {
      // Within the text the place runs into its end: a shorter suffix goes on.
      Next n = next(place);
      while (n.token < 0 && place.length > options_.min_match) {
        place = automaton_.shorter(place);
        if (place.length >= options_.min_match) n = next(place);
      }
      if (n.token < 0 || !take(n.token, HoldRates::cell(place.length, n.agreeing, n.seen))) return;
      place = automaton_.after(place, n.token);
    }
  }

  void chain(const Ask& ask, Draft& draft) noexcept {
    const std::int64_t count = std::min({options_.length, ask.count, draft.capacity()});
    if (count < 1) return;
    Place best = {};
    float most = 0;
    int starts = 0;
    for (Place place = automaton_.tail(); place.length >= options_.min_match && starts < max_starts;
         place = automaton_.shorter(place)) {
      if (next(place).token < 0) continue;
      ++starts;
      float expected = 0, chance = 1;
      std::int64_t made = 0;
      walk(place, [&](std::int32_t, std::uint8_t cell) {
        chance *= experience_.rate(cell);
        expected += chance;
        return ++made < count;
      });
      if (expected > most) most = expected, best = place;
    }
    if (best.length == 0) return;
    walk(best, [&](std::int32_t token, std::uint8_t cell) {
      return experience_.push(ask, draft, token, cell) && draft.size() < count;
    });
  }

  // A guess that may be made.
  struct Branch {
    float chance = 0;  // that it holds and all before it do
    std::int64_t parent = -1;
    std::int32_t token = 0;
    std::uint8_t cell = 0;
    float confidence = 0;
    Place place;  // behind it
  };

  static std::ptrdiff_t diff(std::size_t n) noexcept { return static_cast<std::ptrdiff_t>(n); }

  void tree(const Ask& ask, Draft& draft) noexcept {
    const std::int64_t count = std::min({options_.length, ask.count, draft.capacity(),
                                         static_cast<std::int64_t>(LastGuesses::most)});
    std::size_t size = 0;
    grow(automaton_.tail(), -1, 1, size);
    while (draft.size() < count && size > 0) {
      const auto open = branches_.first(size);
      const auto best =
          std::max_element(open.begin(), open.end(),
                           [](const Branch& a, const Branch& b) { return a.chance < b.chance; });
      const Branch branch = *best;
      *best = open.back();
      --size;
      if (branch.chance < least_chance) break;
      if (branch.confidence < ask.least_confidence) continue;
      experience_.push(draft, branch.parent, branch.token, branch.cell, branch.confidence);
      grow(branch.place, draft.size() - 1, branch.chance, size);
    }
  }

  // Adds what may follow a place, whose own chance is given, to the open branches.
  void grow(Place place, std::int64_t parent, float chance, std::size_t& size) noexcept {
    std::array<std::int32_t, tree_width> taken;
    std::size_t made = 0;
    float left = 1;  // what longer suffixes leave undecided
    int starts = 0;
    for (; place.length >= options_.min_match && starts < tree_starts && made < tree_width;
         place = automaton_.shorter(place)) {
      const Next n = next(place);
      if (n.token < 0) continue;
      ++starts;
      const float sure = experience_.rate(HoldRates::cell(place.length, n.agreeing, n.seen));
      const bool named = std::find(taken.begin(), taken.begin() + diff(made), n.token) !=
                         taken.begin() + diff(made);
      const auto others = static_cast<float>(std::max<std::int64_t>(1, n.seen - n.agreeing));
      // Where a longer suffix is wrong the shorter ones are less often right than elsewhere.
      const float whole = starts == 1 ? left : 0.65f * left;
      const float rest = whole * (named ? 0.5f : 0.5f * (1 - sure));
      // The most frequent ones that a longer suffix has not named yet.
      while (made < tree_width) {
        std::int32_t token = -1;
        std::int64_t agreeing = 0;
        automaton_.followers(place, [&](std::int32_t t, std::int64_t c) {
          if (c > agreeing &&
              std::find(taken.begin(), taken.begin() + diff(made), t) == taken.begin() + diff(made))
            token = t, agreeing = c;
        });
        if (token < 0 || size == branches_.size()) break;
        taken[made++] = token;
        const float confidence =
            token == n.token ? whole * sure : rest * static_cast<float>(agreeing) / others;
        left -= confidence;
        branches_[size++] = {chance * confidence, parent, token,
                             // Rates are of what mostly followed.
                             token == n.token && starts == 1
                                 ? HoldRates::cell(place.length, n.agreeing, n.seen)
                                 : HoldRates::none,
                             confidence, automaton_.after(place, token)};
      }
    }
  }

  Options options_;
  SuffixAutomaton automaton_;
  Buffer memory_;
  std::span<Branch> branches_;
  Experience experience_;
};

static_assert(Drafter<Suffix> && Truncates<Suffix>);

}  // namespace kedge::inline KEDGE_ABI::draft
