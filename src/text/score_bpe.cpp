#include "score_bpe.hpp"

#include <algorithm>

#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {

void ScoreBpeEncoder::consider(std::string_view piece, std::int32_t left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const Symbol& next = symbols_[static_cast<std::size_t>(symbol.next)];
  const std::uint32_t length = symbol.length + next.length;
  const std::int32_t joined = vocabulary_.word(piece.substr(symbol.begin, length));
  if (joined < 0) return;
  heap_.push_back({scores_[static_cast<std::size_t>(joined)], left, joined, length});
  std::push_heap(heap_.begin(), heap_.end());
}

std::size_t ScoreBpeEncoder::append(std::string_view piece, bool drop_missing,
                                    std::vector<std::int32_t>& ids) {
  symbols_.clear();
  heap_.clear();
  // Characters first, whether they are tokens or not: a character without a token may still be part
  // of one. Only what is left alone at the end becomes bytes.
  for (std::size_t i = 0; i < piece.size();) {
    const Utf8Step step = utf8_step(piece.substr(i));
    const std::size_t length = step.kind == Utf8Step::Kind::character ? step.length : 1;
    const auto index = static_cast<std::int32_t>(symbols_.size());
    symbols_.push_back({0, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(length),
                        index - 1, index + 1});
    i += length;
  }
  if (symbols_.empty()) return Vocabulary::done;
  symbols_.back().next = -1;
  for (std::size_t i = 0; i + 1 < symbols_.size(); ++i)
    consider(piece, static_cast<std::int32_t>(i));

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate best = heap_.back();
    heap_.pop_back();
    Symbol& left = symbols_[static_cast<std::size_t>(best.left)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
    if (left.length + right.length != best.length) continue;  // one of them has grown since
    left.length = best.length;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = best.left;
    if (left.previous >= 0) consider(piece, left.previous);
    consider(piece, best.left);
  }
  return finish(piece, drop_missing, ids);
}

std::size_t ScoreBpeEncoder::finish(std::string_view piece, bool drop_missing,
                                    std::vector<std::int32_t>& ids) {
  bool last_unknown = false;
  for (std::int32_t i = 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
    const Symbol& symbol = symbols_[static_cast<std::size_t>(i)];
    const std::string_view text = piece.substr(symbol.begin, symbol.length);
    if (const std::int32_t id = vocabulary_.word(text); id >= 0) {
      ids.push_back(id);
      last_unknown = false;
      continue;
    }
    last_.clear();
    const std::size_t missing = vocabulary_.split(text, drop_missing, last_);
    if (missing != Vocabulary::done) return symbol.begin + missing;
    for (const Symbol& one : last_) {
      const bool unknown = one.id == vocabulary_.unknown;
      if (!unknown || !last_unknown || !vocabulary_.fuse_unknown) ids.push_back(one.id);
      last_unknown = unknown;
    }
  }
  return Vocabulary::done;
}

}  // namespace kedge::inline KEDGE_ABI::text
