// The merging of byte-pair encoding: a word's bytes become symbols, and the pair of neighbours
// whose merge has the lowest rank (the leftmost one on ties) is joined until no pair has a merge.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::text {

// (left id, right id) -> rank; rank -> joined id. Open addressing, at most half full.
class MergeTable {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  void reserve(std::size_t merges);  // before the first add, for all that will come
  // Ranks count up from 0. False when the pair is already there.
  bool add(std::int32_t left, std::int32_t right, std::int32_t joined);
  std::uint32_t rank(std::int32_t left, std::int32_t right) const noexcept;
  std::int32_t joined(std::uint32_t rank) const noexcept { return joined_[rank]; }

 private:
  struct Slot {
    std::uint64_t pair = 0;
    std::uint32_t rank = none;  // none: free
  };
  std::size_t home(std::uint64_t pair) const noexcept;
  std::vector<Slot> slots_;
  std::vector<std::int32_t> joined_;
};

// Scratch for one call; its vectors keep their capacity from word to word.
class WordEncoder {
 public:
  // byte_ids: the token of every byte, -1 for a byte that has none.
  WordEncoder(const MergeTable& merges, const std::array<std::int32_t, 256>& byte_ids) noexcept
      : merges_(merges), byte_ids_(byte_ids) {}

  static constexpr std::size_t done = static_cast<std::size_t>(-1);
  // Adds the tokens of `word` (less than 2^31 bytes), or returns the index of a byte without token.
  // With drop_missing such a byte is left out, and its neighbours may merge. O(n log n).
  std::size_t append(std::string_view word, bool drop_missing, std::vector<std::int32_t>& ids);

 private:
  struct Symbol {
    std::int32_t id;  // -1: joined into the one before
    std::uint32_t length;
    std::int32_t previous;
    std::int32_t next;
  };
  // A pair that can be joined. `length` is the pair's length in symbols' bytes: symbols only grow,
  // so it differs exactly when one of the two has changed since.
  struct Candidate {
    std::uint64_t order;  // rank, then position: the smallest is next
    std::uint32_t length;
    bool operator>(const Candidate& other) const noexcept { return order > other.order; }
  };
  void consider(std::int32_t left);

  const MergeTable& merges_;
  const std::array<std::int32_t, 256>& byte_ids_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace kedge::inline KEDGE_ABI::text
