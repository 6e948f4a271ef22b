// cache: guesses what mostly followed the last one to four tokens, from three tables of counts
// (ngram_counts.hpp): the text's own (context), one that a host learned from earlier texts
// (dynamic), and one from a corpus (fixed, of pairs of tokens). The kind that llama.cpp calls
// ngram-cache, with its thresholds. The text's own table is emptied by begin(); the others are the
// host's and only read, so what one request said is in the next one's drafts only if the host says
// so: context() is there to be taken in or saved.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/hold_rates.hpp"
#include "kedge/draft/ngram_counts.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Cache {
 public:
  struct Options {
    std::int64_t length = 8;       // guesses at most
    std::int64_t capacity = 8193;  // tokens of the text
    // Borrowed; null: none. Of `fixed` only what followed two tokens is looked at.
    const NgramCounts* dynamic = nullptr;
    const NgramCounts* fixed = nullptr;
    Allocator allocator = default_allocator();
  };

  static Result<Cache> create(const Options& options) noexcept {
    if (options.length < 1 || options.capacity < 1 || options.capacity > std::int64_t{1} << 26)
      return fail(Code::invalid_argument, "cache",
                  "expected a length of 1 or more and a capacity of 1..2^26, found %lld and %lld",
                  static_cast<long long>(options.length), static_cast<long long>(options.capacity));
    Cache cache;
    cache.options_ = options;
    KEDGE_TRY(cache.context_, NgramCounts::create(NgramCounts::for_text(
                                  options.capacity, NgramCounts::longest, options.allocator)));
    const auto tokens = static_cast<std::size_t>(options.capacity) + LastGuesses::most;
    KEDGE_TRY(cache.tokens_,
              Buffer::create(tokens * sizeof(std::int32_t), "cache", options.allocator));
    return cache;
  }

  Status begin(std::span<const std::int32_t> tokens) noexcept {
    context_.clear();
    experience_.reset();
    size_ = 0;
    return append(tokens);
  }
  Status append(std::span<const std::int32_t> tokens) noexcept {
    const auto count = static_cast<std::int64_t>(tokens.size());
    if (count > options_.capacity - size_)
      return fail(Code::out_of_memory, "cache", "history holds %lld tokens, asked for %lld",
                  static_cast<long long>(options_.capacity), static_cast<long long>(size_ + count));
    std::copy(tokens.begin(), tokens.end(), tokens_.as<std::int32_t>() + size_);
    const std::int64_t from = size_;
    size_ += count;
    // With the tokens before them, so that no n-gram is lost where two chunks meet.
    return context_.learn(text(), from, 1, NgramCounts::longest);
  }
  Status truncate(std::int64_t count) noexcept {
    count = std::clamp<std::int64_t>(count, 0, size_);
    context_.unlearn(text(), count, 1, NgramCounts::longest);
    size_ = count;
    return {};
  }

  Status propose(const Ask& ask, Draft& draft) noexcept {
    experience_.begin(size_);
    const std::int64_t count =
        std::min({options_.length, ask.count, static_cast<std::int64_t>(LastGuesses::most)});
    for (std::int64_t i = 0; i < count; ++i) {
      const std::span<const std::int32_t> all(tokens_.as<const std::int32_t>(),
                                              static_cast<std::size_t>(size_ + i));
      Found found = best(&context_, all, lax);
      if (found.token < 0) found = best(options_.dynamic, all, strict);
      if (found.token < 0) found = best_fixed(all);
      if (found.token < 0) break;
      tokens_.as<std::int32_t>()[size_ + i] = found.token;
      if (!experience_.push(ask, draft, found.token,
                            HoldRates::cell(found.length, found.count, found.total)))
        break;
    }
    return {};
  }
  void feedback(const Outcome&) noexcept { experience_.learn(text()); }
  const char* name() const noexcept { return "cache"; }

  const NgramCounts& context() const noexcept { return context_; }

 private:
  // Of n-grams of 1 to 4 tokens: how often they must have occurred, and what part of that, in
  // percent, must have gone on with the guess.
  struct Thresholds {
    std::array<std::uint32_t, 4> least, percent;
  };
  static constexpr Thresholds lax = {{2, 2, 1, 1}, {66, 50, 50, 50}},
                              strict = {{4, 3, 2, 2}, {75, 66, 66, 66}};
  struct Found {
    std::int32_t token = -1;
    std::int64_t length = 0, count = 0, total = 0;
  };

  std::span<const std::int32_t> text() const noexcept {
    return {tokens_.as<const std::int32_t>(), static_cast<std::size_t>(size_)};
  }
  static std::span<const std::int32_t> last(std::span<const std::int32_t> all,
                                            std::int64_t n) noexcept {
    return all.last(static_cast<std::size_t>(n));
  }

  // The longest n-gram decides. What the fixed table knows too weighs more.
  Found best(const NgramCounts* counts, std::span<const std::int32_t> all,
             const Thresholds& thresholds) const noexcept {
    if (counts == nullptr) return {};
    const auto longest = std::min<std::int64_t>(NgramCounts::longest, std::ssize(all));
    for (std::int64_t n = longest; n >= 1; --n) {
      const auto ngram = last(all, n);
      const std::uint32_t total = counts->total(ngram);
      const auto at = static_cast<std::size_t>(n - 1);
      if (total < thresholds.least[at]) continue;
      Found found{-1, n, 0, total};
      double most = 0;
      counts->visit(ngram, [&](std::int32_t token, std::uint32_t count) {
        double weight = count;
        if (options_.fixed != nullptr && all.size() >= 2) {
          const std::uint32_t known = options_.fixed->count(last(all, 2), token);
          if (known > 0) weight *= 100.0 * known;
        }
        if (weight > most || (weight == most && token < found.token))
          most = weight, found.token = token, found.count = count;
      });
      if (100 * found.count >= thresholds.percent[at] * found.total) return found;
    }
    return {};
  }
  Found best_fixed(std::span<const std::int32_t> all) const noexcept {
    if (options_.fixed == nullptr || all.size() < 2) return {};
    const auto ngram = last(all, 2);
    Found found{-1, 2, 0, options_.fixed->total(ngram)};
    options_.fixed->visit(ngram, [&](std::int32_t token, std::uint32_t count) {
      if (count > found.count || (count == found.count && token < found.token))
        found.token = token, found.count = count;
    });
    if (found.total < lax.least[1] || 100 * found.count < lax.percent[1] * found.total) return {};
    return found;
  }

  Options options_;
  NgramCounts context_;
  Buffer tokens_;  // the text, and guesses behind it
  std::int64_t size_ = 0;
  Experience experience_;
};

static_assert(Drafter<Cache> && Truncates<Cache>);

}  // namespace kedge::inline KEDGE_ABI::draft
