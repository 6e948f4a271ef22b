// The Unigram model: of all ways to cut a piece into tokens, the one with the highest sum of scores
// (Viterbi).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "vocabulary.hpp"

namespace kedge::inline KEDGE_ABI::text {

// The tokens' texts as a tree; immutable once built.
class Unigram {
 public:
  // A token that text may become.
  void add(std::string_view text, std::int32_t id, double score);
  // After the last add(). least: the lowest score of all tokens, special ones included.
  void finish(double least);

  // Adds the tokens of `piece`, or returns the index of a byte without a token
  // (Vocabulary::split). Linear in the piece times the longest token.
  std::size_t append(const Vocabulary& vocabulary, std::string_view piece, bool drop_missing,
                     std::vector<std::int32_t>& ids) const;

 private:
  struct Node {
    std::uint32_t edges = 0, edge_count = 0;
    std::int32_t id = -1;
    double score = 0;
  };
  struct Edge {
    unsigned char byte;
    std::uint32_t node;
  };
  struct Entry {
    std::string text;
    std::int32_t id;
    double score;
  };
  const Node* child(const Node& node, unsigned char byte) const noexcept;

  std::vector<Entry> entries_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  double unknown_score_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::text
