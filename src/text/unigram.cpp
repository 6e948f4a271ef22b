#include "unigram.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {

void Unigram::add(std::string_view text, std::int32_t id, double score) {
  entries_.push_back({std::string(text), id, score});
}

void Unigram::finish(double least) {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.text < b.text; });
  // SentencePiece's penalty for a character that no token has.
  unknown_score_ = least - 10;
  struct Group {
    std::size_t first, last, depth;
    std::uint32_t node;
  };
  nodes_.emplace_back();
  std::vector<Group> groups = {{0, entries_.size(), 0, 0}};
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group group = groups[g];
    std::size_t i = group.first;
    if (i < group.last && entries_[i].text.size() == group.depth) {
      nodes_[group.node].id = entries_[i].id;
      nodes_[group.node].score = entries_[i].score;
      ++i;
    }
    nodes_[group.node].edges = static_cast<std::uint32_t>(edges_.size());
    while (i < group.last) {
      const auto byte = static_cast<unsigned char>(entries_[i].text[group.depth]);
      std::size_t end = i + 1;
      while (end < group.last &&
             static_cast<unsigned char>(entries_[end].text[group.depth]) == byte) {
        ++end;
      }
      const auto to = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      edges_.push_back({byte, to});
      ++nodes_[group.node].edge_count;
      groups.push_back({i, end, group.depth + 1, to});
      i = end;
    }
  }
  entries_.clear();
  entries_.shrink_to_fit();
}

const Unigram::Node* Unigram::child(const Node& node, unsigned char byte) const noexcept {
  const Edge* const begin = edges_.data() + node.edges;
  const Edge* const end = begin + node.edge_count;
  const Edge* const at =
      std::lower_bound(begin, end, byte, [](Edge a, unsigned char b) { return a.byte < b; });
  return at != end && at->byte == byte ? &nodes_[at->node] : nullptr;
}

std::size_t Unigram::append(const Vocabulary& vocabulary, std::string_view piece, bool drop_missing,
                            std::vector<std::int32_t>& ids) const {
  // How the best way to each byte offset ends; id -1: with a character that no token has.
  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    std::size_t begin = 0;
    std::int32_t id = -1;
  };
  std::vector<Best> best(piece.size() + 1);
  best[0].score = 0;
  for (std::size_t i = 0; i < piece.size();) {
    const Utf8Step step = utf8_step(piece.substr(i));
    const std::size_t length = step.kind == Utf8Step::Kind::character ? step.length : 1;
    const double here = best[i].score;
    bool single = false;
    const Node* node = nodes_.data();
    for (std::size_t k = i; k < piece.size(); ++k) {
      node = child(*node, static_cast<unsigned char>(piece[k]));
      if (node == nullptr) break;
      if (node->id < 0) continue;
      const std::size_t end = k + 1;
      // The first way that reaches a score keeps it.
      if (here + node->score > best[end].score) best[end] = {here + node->score, i, node->id};
      single = single || end == i + length;
    }
    if (!single && here + unknown_score_ > best[i + length].score)
      best[i + length] = {here + unknown_score_, i, -1};
    i += length;
  }
  std::vector<std::pair<std::size_t, std::size_t>> path;  // of pieces, from the end
  for (std::size_t end = piece.size(); end > 0; end = best[end].begin)
    path.push_back({best[end].begin, end});
  std::vector<Symbol> symbols;
  for (std::size_t p = path.size(); p > 0;) {
    const auto [begin, end] = path[--p];
    if (best[end].id >= 0) {
      ids.push_back(best[end].id);
      continue;
    }
    // Neighbours without a token are one unknown, or bytes.
    std::size_t last = end;
    while (p > 0 && best[path[p - 1].second].id < 0) last = path[--p].second;
    const std::string_view text = piece.substr(begin, last - begin);
    symbols.clear();
    const std::size_t missing = vocabulary.split(text, drop_missing, symbols);
    if (missing != Vocabulary::done) return begin + missing;
    for (const Symbol& symbol : symbols) ids.push_back(symbol.id);
  }
  return Vocabulary::done;
}

}  // namespace kedge::inline KEDGE_ABI::text
