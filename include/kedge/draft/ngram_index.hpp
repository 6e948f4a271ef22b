// NgramIndex: where n-grams of a text occurred before, newest first. One index per sequence, over
// committed tokens only. For up to four lengths of n-gram, chosen at creation, a hash gives the
// newest position and every position links to the one before it with the same hash, so that
// appending costs the same for every token, truncating takes the newest positions out again, and
// walking the links meets every occurrence. A hit is compared token by token: no collision is ever
// taken for a match. All memory is taken at creation.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "kedge/core/buffer.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class NgramIndex {
 public:
  static constexpr int max_orders = 4;
  static constexpr std::int64_t max_guesses = 64;

  struct Options {
    std::int64_t capacity = 8193;  // tokens
    // Lengths of the n-grams that are indexed; 0: none.
    std::array<std::int32_t, max_orders> orders = {};
    Allocator allocator = default_allocator();
  };

  static Result<NgramIndex> create(const Options& options) noexcept {
    if (options.capacity < 1 || options.capacity > std::int64_t{1} << 30)
      return fail(Code::invalid_argument, "n-gram index",
                  "capacity: expected 1..2^30 tokens, found %lld",
                  static_cast<long long>(options.capacity));
    NgramIndex index;
    index.capacity_ = options.capacity;
    index.orders_ = options.orders;
    std::size_t used = 0;
    for (const std::int32_t order : options.orders) {
      if (order < 0)
        return fail(Code::invalid_argument, "n-gram index",
                    "length of an n-gram: expected 1 or more, found %d", order);
      used += order > 0 ? 1 : 0;
    }
    const auto tokens = static_cast<std::size_t>(options.capacity);
    // Twice as many as positions, so that most n-grams are alone in theirs.
    const std::size_t buckets = std::bit_ceil(2 * tokens);
    index.shift_ = 64 - std::countr_zero(buckets);
    const std::size_t count =
        tokens + static_cast<std::size_t>(max_guesses) + used * (tokens + buckets);
    KEDGE_TRY(index.memory_,
              Buffer::create(count * sizeof(std::int32_t), "n-gram index", options.allocator));
    std::int32_t* memory = index.memory_.as<std::int32_t>();
    const auto take = [&memory](std::size_t size) {
      std::int32_t* const taken = memory;
      memory += size;
      return taken;
    };
    index.tokens_ = take(tokens + static_cast<std::size_t>(max_guesses));
    for (std::size_t o = 0; o < max_orders; ++o) {
      if (options.orders[o] == 0) continue;
      index.before_[o] = take(tokens);
      index.newest_[o] = {take(buckets), buckets};
    }
    index.clear();
    return index;
  }
  NgramIndex() noexcept = default;

  std::int64_t size() const noexcept { return size_; }
  std::int64_t capacity() const noexcept { return capacity_; }
  std::span<const std::int32_t> text() const noexcept {
    return {tokens_, static_cast<std::size_t>(size_)};
  }
  std::int32_t order(std::size_t o) const noexcept { return orders_[o]; }

  void clear() noexcept {
    size_ = 0;
    for (const auto newest : newest_) std::fill(newest.begin(), newest.end(), -1);
  }
  // Code::out_of_memory when the text would be longer than the capacity; then nothing changes.
  Status append(std::span<const std::int32_t> tokens) noexcept {
    const auto count = static_cast<std::int64_t>(tokens.size());
    if (count > capacity_ - size_)
      return fail(Code::out_of_memory, "n-gram index", "history holds %lld tokens, asked for %lld",
                  static_cast<long long>(capacity_), static_cast<long long>(size_ + count));
    for (const std::int32_t token : tokens) {
      tokens_[size_] = token;
      for (std::size_t o = 0; o < max_orders; ++o) {
        if (orders_[o] == 0 || size_ + 1 < orders_[o]) continue;
        std::int32_t& newest = newest_[o][bucket(o, size_)];
        before_[o][size_] = newest;
        newest = static_cast<std::int32_t>(size_);
      }
      ++size_;
    }
    return {};
  }
  // The text becomes its first `count` tokens.
  void truncate(std::int64_t count) noexcept {
    while (size_ > std::max<std::int64_t>(count, 0)) {
      --size_;  // positions leave in the reverse order in which they came
      for (std::size_t o = 0; o < max_orders; ++o)
        if (orders_[o] != 0 && size_ + 1 >= orders_[o])
          newest_[o][bucket(o, size_)] = before_[o][size_];
    }
  }

  // Guesses stand behind the text without being part of it, so that what follows a match may run
  // into what was copied: a text with a short period is continued for as long as is asked.
  void guess(std::int64_t i, std::int32_t token) noexcept { tokens_[size_ + i] = token; }
  // Of the text and the guesses behind it.
  std::int32_t token(std::int64_t position) const noexcept { return tokens_[position]; }

  // The newest position of the text, at most `last`, where the n-gram of order o ends that also
  // ends at `end` (in the text or the guesses); -1: there is none.
  std::int64_t find(std::size_t o, std::int64_t end, std::int64_t last) const noexcept {
    if (end + 1 < orders_[o]) return -1;
    return walk(o, newest_[o][bucket(o, end)], end, last);
  }
  // The next older one.
  std::int64_t next(std::size_t o, std::int64_t end, std::int64_t found) const noexcept {
    return walk(o, before_[o][found], end, found - 1);
  }
  // How many tokens up to and including `a` and `b`, a < b, are equal, at most `most`.
  std::int64_t match(std::int64_t a, std::int64_t b, std::int64_t most) const noexcept {
    std::int64_t length = 0;
    while (length < most && length <= a && tokens_[a - length] == tokens_[b - length]) ++length;
    return length;
  }
  // A number for the n-gram that ends there; others may have it too.
  std::uint64_t hash(std::size_t o, std::int64_t end) const noexcept {
    std::uint64_t h = 0;
    for (std::int64_t i = end + 1 - orders_[o]; i <= end; ++i)
      h = (h ^ static_cast<std::uint32_t>(tokens_[i])) * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u;
    return h ^ h >> 29;
  }

 private:
  std::size_t bucket(std::size_t o, std::int64_t end) const noexcept {
    return static_cast<std::size_t>((hash(o, end) * 0xD6E8FEB86659FD93u) >> shift_);
  }
  std::int64_t walk(std::size_t o, std::int64_t at, std::int64_t end,
                    std::int64_t last) const noexcept {
    while (at >= 0 && (at > last || match(at, end, orders_[o]) < orders_[o])) at = before_[o][at];
    return at;
  }

  Buffer memory_;
  std::int64_t capacity_ = 0, size_ = 0;
  int shift_ = 63;
  std::array<std::int32_t, max_orders> orders_ = {};
  std::int32_t* tokens_ = nullptr;                               // [capacity + max_guesses]
  std::array<std::int32_t*, max_orders> before_ = {};            // [capacity]
  std::array<std::span<std::int32_t>, max_orders> newest_ = {};  // [buckets]
};

}  // namespace kedge::inline KEDGE_ABI::draft
