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
  joined_.reserve(merges);
}

std::size_t MergeTable::home(std::uint64_t pair) const noexcept {
  // Fibonacci hashing: the product's high bits depend on all bits of the pair.
  const std::uint64_t mixed = (pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15u;
  return static_cast<std::size_t>(mixed >> 32) & (slots_.size() - 1);
}

bool MergeTable::add(std::int32_t left, std::int32_t right, std::int32_t joined) {
  const std::uint64_t pair = pair_of(left, right);
  std::size_t at = home(pair);
  while (slots_[at].rank != none) {
    if (slots_[at].pair == pair) return false;
    at = (at + 1) & (slots_.size() - 1);
  }
  slots_[at] = {pair, static_cast<std::uint32_t>(joined_.size())};
  joined_.push_back(joined);
  return true;
}

std::uint32_t MergeTable::rank(std::int32_t left, std::int32_t right) const noexcept {
  const std::uint64_t pair = pair_of(left, right);
  std::size_t at = home(pair);
  while (slots_[at].rank != none && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
  return slots_[at].rank;
}

void WordEncoder::consider(std::int32_t left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const Symbol& next = symbols_[static_cast<std::size_t>(symbol.next)];
  const std::uint32_t rank = merges_.rank(symbol.id, next.id);
  if (rank == MergeTable::none) return;
  heap_.push_back({(static_cast<std::uint64_t>(rank) << 32) | static_cast<std::uint32_t>(left),
                   symbol.length + next.length});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

std::size_t WordEncoder::append(std::string_view word, bool drop_missing,
                                std::vector<std::int32_t>& ids) {
  symbols_.clear();
  heap_.clear();
  for (std::size_t i = 0; i < word.size(); ++i) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(word[i])];
    if (id < 0) {
      if (drop_missing) continue;
      return i;
    }
    const auto index = static_cast<std::int32_t>(symbols_.size());
    symbols_.push_back({id, 1, index - 1, index + 1});
  }
  if (symbols_.empty()) return done;
  symbols_.back().next = -1;
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
    left.id = merges_.joined(static_cast<std::uint32_t>(best.order >> 32));
    left.length = best.length;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = position;
    if (left.previous >= 0) consider(left.previous);
    consider(position);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
    ids.push_back(symbols_[static_cast<std::size_t>(i)].id);
  }
  return done;
}

}  // namespace kedge::inline KEDGE_ABI::text
