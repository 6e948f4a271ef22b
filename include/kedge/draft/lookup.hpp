// Prompt lookup (Saxena 2023, "Prompt Lookup Decoding"): the longest suffix of the text so far that
// also occurs earlier says what comes next; among equally long ones the newest occurrence.
//
// Two things differ from common implementations. The match may overlap the suffix, and copying
// wraps into the draft itself, so a text with a short period is continued for as long as is asked.
// And each call looks at the whole history, so nothing is lost where one chunk of tokens ends.
//
// Cost: linear in the history. One pass of the Z algorithm (Gusfield, "Algorithms on Strings, Trees
// and Sequences", 1997) over the reversed text gives, for every earlier position, the length of the
// match that ends there. An index of n-grams would have to compare every occurrence of the shortest
// ones; this is 20 us for 8192 tokens, and a drafter that is not asked only copies tokens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/draft/drafter.hpp"
#include "kedge/draft/hold_rates.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Lookup {
 public:
  struct Options {
    std::int64_t length = 8;     // tokens a proposal may have
    std::int64_t min_match = 2;  // shorter matches propose nothing
    // Tokens of history: a session's positions, 8192 by default, and the newest token.
    std::int64_t capacity = 8193;
  };

  static Result<Lookup> create(const Options& options,
                               const Allocator& allocator = default_allocator()) noexcept {
    if (options.length < 1 || options.min_match < 1 || options.capacity < 1)
      return fail(Code::invalid_argument, "lookup",
                  "length, min_match and capacity must be positive, found %lld, %lld, %lld",
                  static_cast<long long>(options.length), static_cast<long long>(options.min_match),
                  static_cast<long long>(options.capacity));
    Lookup lookup;
    lookup.options_ = options;
    const auto bytes = static_cast<std::size_t>(options.capacity) * sizeof(std::int32_t);
    KEDGE_TRY(lookup.history_, Buffer::create(bytes, "lookup history", allocator));
    KEDGE_TRY(lookup.match_, Buffer::create(bytes, "lookup matches", allocator));
    return lookup;
  }

  Status begin(std::span<const std::int32_t> tokens) noexcept {
    size_ = 0;
    experience_.reset();
    return append(tokens);
  }

  Status append(std::span<const std::int32_t> tokens) noexcept {
    const auto count = static_cast<std::int64_t>(tokens.size());
    if (size_ + count > options_.capacity)
      return fail(Code::out_of_memory, "lookup", "history holds %lld tokens, asked for %lld",
                  static_cast<long long>(options_.capacity), static_cast<long long>(size_ + count));
    std::copy(tokens.begin(), tokens.end(), history_.as<std::int32_t>() + size_);
    size_ += count;
    return {};
  }

  Status truncate(std::int64_t count) noexcept {
    size_ = std::min(size_, std::max<std::int64_t>(count, 0));
    return {};
  }

  Status propose(const Ask& ask, Draft& draft) noexcept {
    const std::int32_t* x = history_.as<std::int32_t>();
    std::int32_t* z = match_.as<std::int32_t>();
    const std::int64_t n = size_;
    experience_.begin(n);
    // z[i]: how many tokens before and including position n-1-i equal the text's last ones.
    std::int64_t left = 0, right = 0, best = 0;
    for (std::int64_t i = 1; i < n; ++i) {
      std::int64_t length = i < right ? std::min<std::int64_t>(right - i, z[i - left]) : 0;
      while (i + length < n && x[n - 1 - length] == x[n - 1 - i - length]) ++length;
      z[i] = static_cast<std::int32_t>(length);
      if (i + length > right) {
        left = i;
        right = i + length;
      }
      if (length >= options_.min_match && (best == 0 || length > z[best])) best = i;
    }
    if (best == 0) return {};
    const std::int64_t count = std::min(options_.length, ask.count);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t from = n - best + i;  // past the end: the draft continues itself
      const std::int32_t token =
          from < n ? x[from] : draft.tokens()[static_cast<std::size_t>(from - n)];
      if (!experience_.push(ask, draft, token, HoldRates::cell(z[best] + i, 1, 1))) break;
    }
    return {};
  }

  void feedback(const Outcome&) noexcept {
    experience_.learn({history_.as<const std::int32_t>(), static_cast<std::size_t>(size_)});
  }
  const char* name() const noexcept { return "lookup"; }

 private:
  Options options_;
  Buffer history_, match_;
  std::int64_t size_ = 0;
  Experience experience_;
};

static_assert(Drafter<Lookup> && Truncates<Lookup>);

}  // namespace kedge::inline KEDGE_ABI::draft
