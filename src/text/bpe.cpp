#include "bpe.hpp"

#include <algorithm>
#include <bit>
#include <functional>

namespace kedge::inline KEDGE_ABI::text {
namespace {

std::uint64_t pair_of(std::int32_t left, std::int32_t right) noexcept {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

}  // namespace

void MergeTable::reserve(std::size_t merges) {
  slots_.assign(std::bit_ceil(2 * merges + 2), Slot{});
}

// Where the pair is, or the free slot where it would be.
std::size_t MergeTable::slot(std::uint64_t pair) const noexcept {
  // Fibonacci hashing: the product's high bits depend on all bits of the pair.
  const std::uint64_t mixed = (pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15u;
  std::size_t at = static_cast<std::size_t>(mixed >> 32) & (slots_.size() - 1);
  while (slots_[at].merge.rank != none && slots_[at].pair != pair)
    at = (at + 1) & (slots_.size() - 1);
  return at;
}

bool MergeTable::add(std::int32_t left, std::int32_t right, std::int32_t joined) {
  const std::uint64_t pair = pair_of(left, right);
  Slot& slot_of_pair = slots_[slot(pair)];
  if (slot_of_pair.merge.rank != none) return false;
  slot_of_pair = {pair, {count_++, joined}};
  return true;
}

void MergeTable::set(std::int32_t left, std::int32_t right, std::int32_t joined,
                     std::uint32_t rank) {
  const std::uint64_t pair = pair_of(left, right);
  slots_[slot(pair)] = {pair, {rank, joined}};
}

MergeTable::Merge MergeTable::find(std::int32_t left, std::int32_t right) const noexcept {
  return slots_[slot(pair_of(left, right))].merge;
}

void BpeEncoder::consider(std::int32_t left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const Symbol& next = symbols_[static_cast<std::size_t>(symbol.next)];
  const MergeTable::Merge merge = merges_.find(symbol.id, next.id);
  if (merge.rank == MergeTable::none) return;
  heap_.push_back(
      {(static_cast<std::uint64_t>(merge.rank) << 32) | static_cast<std::uint32_t>(left),
       merge.joined, symbol.length + next.length});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

std::size_t BpeEncoder::append(std::string_view piece, bool drop_missing,
                               std::vector<std::int32_t>& ids) {
  symbols_.clear();
  heap_.clear();
  if (const std::size_t missing = vocabulary_.split(piece, drop_missing, symbols_);
      missing != Vocabulary::done) {
    return missing;
  }
  if (symbols_.empty()) return Vocabulary::done;
  for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) consider(static_cast<std::int32_t>(i));

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const Candidate best = heap_.back();
    heap_.pop_back();
    const auto position = static_cast<std::int32_t>(best.order & 0xFFFFFFFF);
    Symbol& left = symbols_[static_cast<std::size_t>(position)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
    if (left.length + right.length != best.length) continue;
    left.id = best.joined;
    left.length = best.length;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = position;
    if (left.previous >= 0) consider(left.previous);
    consider(position);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next)
    ids.push_back(symbols_[static_cast<std::size_t>(i)].id);
  return Vocabulary::done;
}

}  // namespace kedge::inline KEDGE_ABI::text
