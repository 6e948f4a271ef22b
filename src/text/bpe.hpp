// The merging of byte-pair encoding: a word's bytes become symbols, and the pair of neighbours
// whose merge has the lowest rank (the leftmost one on ties) is joined until no pair has a merge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kedge/core/config.hpp"
#include "vocabulary.hpp"

namespace kedge::inline KEDGE_ABI::text {

// (left id, right id) -> rank and joined id. Open addressing, at most half full.
class MergeTable {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFF;
  struct Merge {
    std::uint32_t rank = none;  // the lowest goes first; none: there is no such merge
    std::int32_t joined = -1;
  };

  void reserve(std::size_t merges);  // before the first add, for all that will come
  // Ranks count up from 0. False when the pair is already there.
  bool add(std::int32_t left, std::int32_t right, std::int32_t joined);
  // The same pair again counts with its latest rank.
  void set(std::int32_t left, std::int32_t right, std::int32_t joined, std::uint32_t rank);
  Merge find(std::int32_t left, std::int32_t right) const noexcept;

 private:
  struct Slot {
    std::uint64_t pair = 0;
    Merge merge;
  };
  std::size_t slot(std::uint64_t pair) const noexcept;
  std::vector<Slot> slots_;
  std::uint32_t count_ = 0;
};

// Scratch for one call; its vectors keep their capacity from piece to piece.
class BpeEncoder {
 public:
  BpeEncoder(const MergeTable& merges, const Vocabulary& vocabulary) noexcept
      : merges_(merges), vocabulary_(vocabulary) {}

  // Adds the tokens of `piece` (less than 2^31 bytes), or returns the index of a byte without a
  // token (Vocabulary::split). With drop_missing such a byte is left out, and its neighbours may
  // merge. O(n log n).
  std::size_t append(std::string_view piece, bool drop_missing, std::vector<std::int32_t>& ids);

 private:
  // A pair that can be joined. `length` is the pair's length in bytes: symbols only grow, so it
  // differs exactly when one of the two has changed since.
  struct Candidate {
    std::uint64_t order;  // rank, then position: the smallest is next
    std::int32_t joined;
    std::uint32_t length;
    bool operator>(const Candidate& other) const noexcept { return order > other.order; }
  };
  void consider(std::int32_t left);

  const MergeTable& merges_;
  const Vocabulary& vocabulary_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace kedge::inline KEDGE_ABI::text
