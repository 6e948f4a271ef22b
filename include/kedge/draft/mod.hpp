// mod: after every guess the last `key` tokens, guesses included, are looked up anew, so a draft
// may follow one occurrence for a while and go over to a newer one. The kind that llama.cpp calls
// ngram-mod (its n_match is `key`, its n_max `length`), with an index of the sequence's own instead
// of one table for all of them, which knows what it holds: neither collisions nor what other
// requests said can get into a draft. A shortest draft (n_min) is no part of it: whether a short
// draft is worth its pass is what a window decides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/hold_rates.hpp"
#include "kedge/draft/ngram_index.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Mod {
 public:
  struct Options {
    std::int64_t length = 31;      // guesses at most
    std::int32_t key = 12;         // tokens that must have occurred before
    std::int64_t capacity = 8193;  // tokens of the text
    Allocator allocator = default_allocator();
  };

  static Result<Mod> create(const Options& options) noexcept {
    if (options.length < 1 || options.key < 1)
      return fail(Code::invalid_argument, "mod",
                  "length and key must be positive, found %lld and %d",
                  static_cast<long long>(options.length), options.key);
    Mod mod;
    mod.options_ = options;
    KEDGE_TRY(mod.index_, NgramIndex::create({options.capacity, {options.key}, options.allocator}));
    return mod;
  }

  Status begin(std::span<const std::int32_t> tokens) noexcept {
    index_.clear();
    experience_.reset();
    return append(tokens);
  }
  Status append(std::span<const std::int32_t> tokens) noexcept { return index_.append(tokens); }
  Status truncate(std::int64_t count) noexcept {
    index_.truncate(count);
    return {};
  }

  Status propose(const Ask& ask, Draft& draft) noexcept {
    const std::int64_t size = index_.size();
    experience_.begin(size);
    const std::int64_t count = std::min({options_.length, ask.count, NgramIndex::max_guesses});
    std::int64_t at = -2;  // where what is copied ends; the next token goes on with it
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t end = size - 1 + i;
      // The occurrence that was followed so far is one of the new n-gram too, maybe among guesses.
      at = std::max(at + 1, index_.find(0, end, std::min(end, size) - 1));
      if (at < 0) break;
      const std::int32_t token = index_.token(at + 1);
      index_.guess(i, token);
      const std::int64_t length = index_.match(at, end, 64);
      if (!experience_.push(ask, draft, token, HoldRates::cell(length, 1, 1))) break;
    }
    return {};
  }
  void feedback(const Outcome&) noexcept { experience_.learn(index_.text()); }
  const char* name() const noexcept { return "mod"; }

 private:
  Options options_;
  NgramIndex index_;
  Experience experience_;
};

static_assert(Drafter<Mod> && Truncates<Mod>);

}  // namespace kedge::inline KEDGE_ABI::draft
