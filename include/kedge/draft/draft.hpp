// Draft: the guesses of one round, a chain or a tree, in memory that is taken once. And what a
// drafter is asked for before, and told afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/sample/distribution.hpp"
#include "kedge/sample/options.hpp"

namespace kedge::inline KEDGE_ABI::draft {

// What a guess was drawn from. Empty: the guess was certain.
using Distribution = kedge::Distribution;

struct Ask {
  std::int64_t count = 0;                     // most guesses wanted; Draft::capacity() at most
  std::int64_t position = 0;                  // of the first guess in the text
  const SamplingOptions* sampling = nullptr;  // how the target draws
  // True: the target draws its own token at every position, and a guess holds if it is that token,
  // so a drafter that draws uses the noise of that position too (sample/noise.hpp). False: a guess
  // is drawn with noise of the drafter's own and its distribution set, or it is certain.
  bool share_noise = true;
  bool tree = false;           // guesses may branch
  float least_confidence = 0;  // a drafter may stop where it is less sure than that
  // False: nobody looks at confidences, and a drafter without a head for them is spared a pass over
  // its logits.
  bool confidences = true;
};

// What became of a draft. Evaluated guesses are those that the target looked at, up to and
// including the first that it rejected: guesses that were cut off say nothing about a drafter.
struct Outcome {
  std::int64_t asked = 0, evaluated = 0, accepted = 0;
};

class Draft {
 public:
  static constexpr float unknown = std::numeric_limits<float>::quiet_NaN();

  struct Options {
    std::int64_t capacity = 31;      // guesses
    std::int64_t probabilities = 0;  // entries of all distributions together
    Allocator allocator = default_allocator();
  };

  static Result<Draft> create(const Options& options) noexcept {
    if (options.capacity < 0 || options.probabilities < 0)
      return fail(Code::invalid_argument, "draft",
                  "capacity and probabilities: expected 0 or more, found %lld and %lld",
                  static_cast<long long>(options.capacity),
                  static_cast<long long>(options.probabilities));
    Draft draft;
    const auto guesses = static_cast<std::size_t>(options.capacity);
    const auto entries = static_cast<std::size_t>(options.probabilities);
    KEDGE_TRY(draft.memory_, Buffer::create(guesses * sizeof(Guess) + 8 * entries + guesses * 12,
                                            "draft", options.allocator));
    std::byte* memory = draft.memory_.data();
    const auto take = [&memory]<class T>(std::span<T>& span, std::size_t count) {
      span = {new (memory) T[count], count};
      memory += count * sizeof(T);
    };
    take(draft.guesses_, guesses);
    take(draft.tokens_, guesses);
    take(draft.parents_, guesses);
    take(draft.confidences_, guesses);
    take(draft.entry_tokens_, entries);
    take(draft.entry_probabilities_, entries);
    return draft;
  }
  Draft() noexcept = default;

  void clear() noexcept {
    size_ = entries_ = 0;
    chain_ = true;
    source = 0;
  }
  std::int64_t size() const noexcept { return size_; }
  std::int64_t capacity() const noexcept { return static_cast<std::int64_t>(tokens_.size()); }
  bool full() const noexcept { return size_ == capacity(); }

  // Behind the guess before, or behind the newest token of the text. The confidence is the
  // probability that the guess holds given that those before it do. Beyond the capacity nothing
  // happens.
  void push(std::int32_t token, float confidence = unknown) noexcept {
    push_behind(size_ - 1, token, confidence);
  }
  // Behind an earlier guess; -1: behind the newest token of the text.
  void push_behind(std::int64_t parent, std::int32_t token, float confidence = unknown) noexcept {
    if (full()) return;
    const auto i = static_cast<std::size_t>(size_);
    chain_ = chain_ && parent == size_ - 1;
    tokens_[i] = token;
    parents_[i] = static_cast<std::int32_t>(parent);
    confidences_[i] = confidence;
    guesses_[i] = {};
    ++size_;
  }
  // Keeps the first `count` guesses. Parents stand before their children, so a tree stays one.
  void cut(std::int64_t count) noexcept {
    size_ = std::min(size_, std::max<std::int64_t>(count, 0));
    chain_ = chain_ || linear(size_);
  }

  std::span<const std::int32_t> tokens() const noexcept { return first(tokens_); }
  std::span<const float> confidences() const noexcept { return first(confidences_); }
  std::span<const std::int32_t> parents() const noexcept { return first(parents_); }
  // Every guess stands behind the one before.
  bool chain() const noexcept { return chain_; }

  // What a guess was drawn from. Code::out_of_memory when there is no room, which leaves the guess
  // certain and therefore wrong to keep: cut() it.
  Status set_distribution(std::int64_t guess, std::span<const std::int32_t> tokens,
                          std::span<const float> probabilities) noexcept {
    if (guess < 0 || guess >= size_ || tokens.size() != probabilities.size())
      return fail(Code::invalid_argument, "draft",
                  "distribution of guess %lld of %lld: %zu tokens with %zu probabilities",
                  static_cast<long long>(guess), static_cast<long long>(size_), tokens.size(),
                  probabilities.size());
    if (tokens.size() > entry_tokens_.size() - entries_)
      return fail(Code::out_of_memory, "draft",
                  "distributions: room for %zu entries, of which %zu are taken; guess %lld has %zu",
                  entry_tokens_.size(), entries_, static_cast<long long>(guess), tokens.size());
    std::copy(tokens.begin(), tokens.end(), entry_tokens_.begin() + diff(entries_));
    std::copy(probabilities.begin(), probabilities.end(),
              entry_probabilities_.begin() + diff(entries_));
    guesses_[static_cast<std::size_t>(guess)] = {entries_, tokens.size()};
    entries_ += tokens.size();
    return {};
  }
  // Entries that further distributions may have.
  std::int64_t room() const noexcept {
    return static_cast<std::int64_t>(entry_tokens_.size() - entries_);
  }
  Distribution distribution(std::int64_t guess) const noexcept {
    const Guess g = guesses_[static_cast<std::size_t>(guess)];
    return {entry_tokens_.subspan(g.first, g.count),
            entry_probabilities_.subspan(g.first, g.count)};
  }

  std::int32_t source = 0;  // which member of a chain of drafters it came from

 private:
  struct Guess {
    std::size_t first = 0, count = 0;  // entries of its distribution
  };
  static std::ptrdiff_t diff(std::size_t n) noexcept { return static_cast<std::ptrdiff_t>(n); }
  template <class T>
  std::span<const T> first(std::span<T> all) const noexcept {
    return all.first(static_cast<std::size_t>(size_));
  }
  bool linear(std::int64_t count) const noexcept {
    for (std::int64_t i = 0; i < count; ++i)
      if (parents_[static_cast<std::size_t>(i)] != i - 1) return false;
    return true;
  }

  Buffer memory_;
  std::span<Guess> guesses_;
  std::span<std::int32_t> tokens_, parents_;
  std::span<float> confidences_;
  std::span<std::int32_t> entry_tokens_;
  std::span<float> entry_probabilities_;
  std::int64_t size_ = 0;
  std::size_t entries_ = 0;
  bool chain_ = true;
};

}  // namespace kedge::inline KEDGE_ABI::draft
