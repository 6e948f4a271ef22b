// map-k: copies what followed the newest earlier occurrence of the last `key` tokens. The kind that
// llama.cpp calls ngram-map-k (its size_n is `key`, its size_m `length`), over an index that always
// knows the newest occurrence, with a reach per key that recovers (key_reach.hpp). With key 12 and
// no reach it is ngram-simple, which here finds short periods too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/draft/hold_rates.hpp"
#include "kedge/draft/key_reach.hpp"
#include "kedge/draft/ngram_index.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class MapK {
 public:
  struct Options {
    std::int64_t length = 16;      // guesses at most
    std::int32_t key = 8;          // tokens that must have occurred before
    bool learns = true;            // how far a key reaches
    std::int64_t capacity = 8193;  // tokens of the text
    Allocator allocator = default_allocator();
  };

  static Result<MapK> create(const Options& options) noexcept {
    if (options.length < 1 || options.key < 1)
      return fail(Code::invalid_argument, "map-k",
                  "length and key must be positive, found %lld and %d",
                  static_cast<long long>(options.length), options.key);
    MapK map;
    map.options_ = options;
    KEDGE_TRY(map.index_, NgramIndex::create({options.capacity, {options.key}, options.allocator}));
    KEDGE_TRY(map.memory_, Buffer::create(sizeof(KeyReach), "map-k", options.allocator));
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
    const std::int64_t found = index_.find(0, size - 1, size - 2);
    if (found < 0) return {};
    key_ = index_.hash(0, size - 1);
    const std::int64_t most = std::min({options_.length, ask.count, NgramIndex::max_guesses});
    const std::int64_t count = options_.learns ? reach_->limit(key_, most) : most;
    const std::int64_t length = index_.match(found, size - 1, 64);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t token = index_.token(found + 1 + i);
      index_.guess(i, token);
      if (!experience_.push(ask, draft, token, HoldRates::cell(length + i, 1, 1))) break;
    }
    return {};
  }
  void feedback(const Outcome&) noexcept {
    const auto truth = experience_.learn(index_.text());
    reach_->learn(key_, static_cast<std::int64_t>(experience_.proposed()), truth, options_.length);
  }
  const char* name() const noexcept { return "map-k"; }

 private:
  Options options_;
  NgramIndex index_;
  Buffer memory_;
  KeyReach* reach_ = nullptr;
  Experience experience_;
  std::uint64_t key_ = 0;  // of the last proposal
};

static_assert(Drafter<MapK> && Truncates<MapK>);

}  // namespace kedge::inline KEDGE_ABI::draft
