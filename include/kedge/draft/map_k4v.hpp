// map-k4v: looks at all earlier occurrences of the last `key` tokens, newest first, and proposes
// what most of them went on with, as far as they agree. The kind that llama.cpp calls
// ngram-map-k4v, over an index in which every occurrence is met once, newest first, and the copy
// comes from the continuation that won.
//
// A continuation is the next `length` tokens; where an occurrence is so near to the end that there
// are fewer, it runs into itself, as a period does. Up to four different ones are told apart, and
// what is none of them counts against all. The most frequent one wins (the newest among equals),
// and is proposed up to where those that agree with it are less than twice those that do not.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/hold_rates.hpp"
#include "kedge/draft/key_reach.hpp"
#include "kedge/draft/ngram_index.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class MapK4v {
 public:
  static constexpr std::size_t values = 4;

  struct Options {
    std::int64_t length = 16;      // guesses at most
    std::int32_t key = 6;          // tokens that must have occurred before
    std::int64_t hits = 1;         // occurrences that there must be
    std::int64_t most_hits = 64;   // occurrences that are looked at, the newest ones
    bool learns = true;            // how far a key reaches
    std::int64_t capacity = 8193;  // tokens of the text
    Allocator allocator = default_allocator();
  };

  static Result<MapK4v> create(const Options& options) noexcept {
    if (options.length < 1 || options.key < 1 || options.hits < 1 ||
        options.most_hits < options.hits)
      return fail(Code::invalid_argument, "map-k4v",
                  "expected length, key and hits of 1 or more and most_hits of hits or more, found "
                  "%lld, %d, %lld, %lld",
                  static_cast<long long>(options.length), options.key,
                  static_cast<long long>(options.hits), static_cast<long long>(options.most_hits));
    MapK4v map;
    map.options_ = options;
    KEDGE_TRY(map.index_, NgramIndex::create({options.capacity, {options.key}, options.allocator}));
    KEDGE_TRY(map.memory_, Buffer::create(sizeof(KeyReach), "map-k4v", options.allocator));
    map.reach_ = new (map.memory_.data()) KeyReach;
    return map;
  }

  Status begin(std::span<const std::int32_t> tokens) noexcept {
    index_.clear();
    reach_->reset();
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
    const std::int64_t length = std::min({options_.length, ask.count, NgramIndex::max_guesses});
    const Votes votes = count(length);
    if (votes.used == 0 || votes.seen < options_.hits) return {};
    const Value* best = &votes.value[0];
    for (std::size_t v = 1; v < votes.used; ++v)
      if (votes.value[v].count > best->count) best = &votes.value[v];
    key_ = index_.hash(0, size - 1);
    const std::int64_t most = options_.learns ? reach_->limit(key_, length) : length;
    const std::int64_t match = index_.match(best->at, size - 1, 64);
    std::int64_t before = votes.seen;  // that agree with the guesses so far
    for (std::int64_t i = 0; i < most; ++i) {
      std::int64_t agreeing = 0;
      for (std::size_t v = 0; v < votes.used; ++v)
        if (same(best->at, votes.value[v].at, i + 1)) agreeing += votes.value[v].count;
      if (agreeing < 2 * (votes.seen - agreeing)) break;
      const std::int32_t token = after(best->at, i);
      if (!experience_.push(ask, draft, token, HoldRates::cell(match + i, agreeing, before))) break;
      before = agreeing;
    }
    return {};
  }
  void feedback(const Outcome&) noexcept {
    const auto truth = experience_.learn(index_.text());
    reach_->learn(key_, static_cast<std::int64_t>(experience_.proposed()), truth, options_.length);
  }
  const char* name() const noexcept { return "map-k4v"; }

 private:
  struct Value {
    std::int64_t at = 0;  // where the newest occurrence with this continuation ends
    std::int64_t count = 0;
  };
  struct Votes {
    std::array<Value, values> value;  // newest first
    std::size_t used = 0;
    std::int64_t seen = 0;  // occurrences, also of further continuations
  };

  Votes count(std::int64_t length) const noexcept {
    Votes votes;
    const std::int64_t end = index_.size() - 1;
    for (std::int64_t at = index_.find(0, end, end - 1); at >= 0 && votes.seen < options_.most_hits;
         at = index_.next(0, end, at)) {
      ++votes.seen;
      std::size_t v = 0;
      while (v < votes.used && !same(votes.value[v].at, at, length)) ++v;
      if (v == values) continue;
      if (v == votes.used) votes.value[votes.used++] = {at, 0};
      ++votes.value[v].count;
    }
    return votes;
  }
  // The i-th token of the continuation of what ends at `at`.
  std::int32_t after(std::int64_t at, std::int64_t i) const noexcept {
    return index_.token(at + 1 + i % (index_.size() - 1 - at));
  }
  bool same(std::int64_t a, std::int64_t b, std::int64_t length) const noexcept {
    for (std::int64_t i = 0; a != b && i < length; ++i)
      if (after(a, i) != after(b, i)) return false;
    return true;
  }

  Options options_;
  NgramIndex index_;
  Buffer memory_;
  KeyReach* reach_ = nullptr;
  Experience experience_;
  std::uint64_t key_ = 0;  // of the last proposal
};

static_assert(Drafter<MapK4v> && Truncates<MapK4v>);

}  // namespace kedge::inline KEDGE_ABI::draft
