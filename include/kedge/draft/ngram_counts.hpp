// NgramCounts: how often each token followed each n-gram of one to four tokens. A table of fixed
// size with chains of followers. It learns from a text as that grows, unlearns what was added last,
// takes in another table, and is kept in files (save, load) whose every field is checked.
//
// The file, little-endian: "kedgengr", u32 version 1, u32 0, u64 n-grams, u64 followers; for each
// n-gram i32 tokens[4] (the last `length` ones used, those before -1), u32 followers, and for each
// of these i32 token, u32 count; u64 XXH64 of everything before.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <new>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class NgramCounts {
 public:
  static constexpr std::int64_t longest = 4;
  static constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();

  struct Options {
    std::int64_t ngrams = 0, followers = 0;  // most of them
    Allocator allocator = default_allocator();
  };
  // Room for everything in a text of this many tokens, for n-grams of `lengths` different lengths.
  static Options for_text(std::int64_t tokens, std::int64_t lengths = longest,
                          const Allocator& allocator = default_allocator()) noexcept {
    return {lengths * tokens, lengths * tokens, allocator};
  }

  static Result<NgramCounts> create(const Options& options) noexcept {
    if (options.ngrams < 0 || options.followers < 0 || options.ngrams > std::int64_t{1} << 29 ||
        options.followers > std::int64_t{1} << 30)
      return fail(Code::invalid_argument, "n-gram counts",
                  "expected at most 2^29 n-grams and 2^30 followers, found %lld and %lld",
                  static_cast<long long>(options.ngrams),
                  static_cast<long long>(options.followers));
    NgramCounts counts;
    const auto followers = static_cast<std::size_t>(options.followers);
    counts.most_ngrams_ = static_cast<std::size_t>(options.ngrams);
    const std::size_t slots = std::bit_ceil(counts.most_ngrams_ + counts.most_ngrams_ / 2 + 1);
    KEDGE_TRY(counts.memory_, Buffer::create(slots * sizeof(Ngram) + followers * sizeof(Follower),
                                             "n-gram counts", options.allocator));
    std::byte* const memory = counts.memory_.data();
    counts.slots_ = {new (memory) Ngram[slots], slots};
    if (followers > 0)
      counts.followers_ = {new (memory + slots * sizeof(Ngram)) Follower[followers], followers};
    counts.clear();
    return counts;
  }
  NgramCounts() noexcept = default;

  void clear() noexcept {
    ngrams_ = used_ = 0;
    for (Ngram& ngram : slots_) ngram.total = 0;
  }
  std::size_t ngrams() const noexcept { return ngrams_; }
  std::size_t followers() const noexcept { return used_; }

  // `before`: one to four tokens. Code::out_of_memory when the table is full; nothing changes then.
  Status add(std::span<const std::int32_t> before, std::int32_t token,
             std::uint32_t count = 1) noexcept {
    Key key;
    if (count == 0 || !make_key(before, key)) return bad(before);
    Ngram& ngram = slots_[slot(key)];
    if (ngram.total == most) return {};  // counts that would overflow stay where they are
    std::int32_t f = ngram.total == 0 ? -1 : find(ngram, token);
    if (f < 0) {
      if (used_ == followers_.size() || (ngram.total == 0 && ngrams_ == most_ngrams_))
        return fail(Code::out_of_memory, "n-gram counts",
                    "room for %zu n-grams and %zu followers, of which %zu and %zu are taken",
                    most_ngrams_, followers_.size(), ngrams_, used_);
      if (ngram.total == 0) {
        ++ngrams_;
        ngram = {key, -1, 0};
      }
      f = static_cast<std::int32_t>(used_++);
      followers_[index(f)] = {token, 0, ngram.first};
      ngram.first = f;
    }
    const std::uint32_t more = std::min(count, most - ngram.total);
    followers_[index(f)].count += more;
    ngram.total += more;
    return {};
  }
  // Takes back the newest add() of count 1 that was not taken back; the caller knows which it was.
  void remove(std::span<const std::int32_t> before, std::int32_t token) noexcept {
    Key key;
    if (!make_key(before, key)) return;
    Ngram& ngram = slots_[slot(key)];
    const std::int32_t f = ngram.total == 0 ? -1 : find(ngram, token);
    if (f < 0) return;
    --ngram.total;
    // What came last left last: it is the head of its chain and the last to have taken a slot.
    if (--followers_[index(f)].count == 0) {
      ngram.first = followers_[index(f)].next;
      --used_;
      if (ngram.total == 0) --ngrams_;
    }
  }

  // Everything that the tokens from `from` on follow, for n-grams of `shortest` to `longest`
  // tokens. When the table is full an error comes back, and only what fitted is counted.
  Status learn(std::span<const std::int32_t> text, std::int64_t from, std::int64_t shortest,
               std::int64_t length) noexcept {
    for (auto i = std::max<std::int64_t>(from, 1); i < static_cast<std::int64_t>(text.size()); ++i)
      for (std::int64_t n = shortest; n <= std::min(length, i); ++n)
        KEDGE_CHECK(add(text.subspan(index(i - n), index(n)), text[index(i)]));
    return {};
  }
  // The reverse, for the tokens from `from` on, which were the last to be learned.
  void unlearn(std::span<const std::int32_t> text, std::int64_t from, std::int64_t shortest,
               std::int64_t length) noexcept {
    for (auto i = static_cast<std::int64_t>(text.size()) - 1; i >= std::max<std::int64_t>(from, 1);
         --i)
      for (std::int64_t n = std::min(length, i); n >= shortest; --n)
        remove(text.subspan(index(i - n), index(n)), text[index(i)]);
  }
  // Adds all counts of another table.
  Status take_in(const NgramCounts& other) noexcept {
    for (const Ngram& ngram : other.slots_) {
      if (ngram.total == 0) continue;
      const auto tokens = used_part(ngram.key);
      for (std::int32_t f = ngram.first; f >= 0; f = other.followers_[index(f)].next)
        KEDGE_CHECK(
            add(tokens, other.followers_[index(f)].token, other.followers_[index(f)].count));
    }
    return {};
  }

  // How often `token` followed; 0 when it never did.
  std::uint32_t count(std::span<const std::int32_t> before, std::int32_t token) const noexcept {
    const Ngram* ngram = look_up(before);
    const std::int32_t f = ngram == nullptr ? -1 : find(*ngram, token);
    return f < 0 ? 0 : followers_[index(f)].count;
  }
  // How often anything followed.
  std::uint32_t total(std::span<const std::int32_t> before) const noexcept {
    const Ngram* ngram = look_up(before);
    return ngram == nullptr ? 0 : ngram->total;
  }
  // Calls visit(token, count) for everything that followed, in no order that means anything.
  template <class Visit>
  void visit(std::span<const std::int32_t> before, Visit&& visit) const noexcept {
    const Ngram* ngram = look_up(before);
    if (ngram == nullptr) return;
    for (std::int32_t f = ngram->first; f >= 0; f = followers_[index(f)].next)
      visit(followers_[index(f)].token, followers_[index(f)].count);
  }

  KEDGE_API Status save(io::Sink& sink) const noexcept;
  struct LoadOptions {
    std::int64_t vocabulary = 0;  // tokens at or above it are an error; 0: any
    std::int64_t spare = 0;       // n-grams and followers that there is to be room for besides
    Allocator allocator = default_allocator();
  };
  // Errors name the file and the field: another format or version, what is cut short, negative
  // tokens, counts of 0, n-grams that come twice, a wrong digest.
  KEDGE_API static Result<NgramCounts> load(const io::Source& source,
                                            const LoadOptions& options) noexcept;

 private:
  using Key = std::array<std::int32_t, longest>;  // the last tokens; -1 before them
  struct Ngram {
    Key key;
    std::int32_t first;   // follower
    std::uint32_t total;  // of their counts; 0: the slot is free
  };
  struct Follower {
    std::int32_t token;
    std::uint32_t count;
    std::int32_t next;
  };

  template <class T>
  static std::size_t index(T i) noexcept {
    return static_cast<std::size_t>(i);
  }
  static bool make_key(std::span<const std::int32_t> before, Key& key) noexcept {
    if (before.empty() || before.size() > index(longest)) return false;
    key.fill(-1);
    std::copy(before.begin(), before.end(), key.end() - static_cast<std::ptrdiff_t>(before.size()));
    return std::all_of(before.begin(), before.end(), [](std::int32_t t) { return t >= 0; });
  }
  static std::span<const std::int32_t> used_part(const Key& key) noexcept {
    std::size_t unused = 0;
    while (unused + 1 < key.size() && key[unused] < 0) ++unused;
    return std::span<const std::int32_t>(key).subspan(unused);
  }
  static Unexpected bad(std::span<const std::int32_t> before) noexcept {
    return fail(Code::invalid_argument, "n-gram counts",
                "expected a count of 1 or more behind 1..4 tokens of 0 or more, found %zu tokens",
                before.size());
  }
  // Where the n-gram is, or where it would be. The order of its tokens matters.
  std::size_t slot(const Key& key) const noexcept {
    std::uint64_t h = 0;
    for (const std::int32_t token : key)
      h = (h ^ static_cast<std::uint32_t>(token)) * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u;
    h ^= h >> 32;
    for (std::size_t s = index(h);; ++s) {
      s &= slots_.size() - 1;
      if (slots_[s].total == 0 || slots_[s].key == key) return s;
    }
  }
  const Ngram* look_up(std::span<const std::int32_t> before) const noexcept {
    Key key;
    if (slots_.empty() || !make_key(before, key)) return nullptr;
    const Ngram& ngram = slots_[slot(key)];
    return ngram.total == 0 ? nullptr : &ngram;
  }
  std::int32_t find(const Ngram& ngram, std::int32_t token) const noexcept {
    std::int32_t f = ngram.first;
    while (f >= 0 && followers_[index(f)].token != token) f = followers_[index(f)].next;
    return f;
  }

  Buffer memory_;
  std::span<Ngram> slots_;  // a power of two of them, at most two thirds taken
  std::span<Follower> followers_;
  std::size_t most_ngrams_ = 0;
  std::size_t ngrams_ = 0, used_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::draft
