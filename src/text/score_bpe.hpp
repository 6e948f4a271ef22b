// SentencePiece's byte-pair encoding: of all neighbours whose texts together are a token, those
// with the highest score are joined, the leftmost among equals, until there are none.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "vocabulary.hpp"

namespace kedge::inline KEDGE_ABI::text {

// Scratch for one call.
class ScoreBpeEncoder {
 public:
  // scores: one per token, none a NaN.
  ScoreBpeEncoder(const std::vector<double>& scores, const Vocabulary& vocabulary) noexcept
      : scores_(scores), vocabulary_(vocabulary) {}

  // As BpeEncoder::append. O(n log n) look-ups of texts no longer than the longest token.
  std::size_t append(std::string_view piece, bool drop_missing, std::vector<std::int32_t>& ids);

 private:
  struct Candidate {
    double score;
    std::int32_t left, joined;
    std::uint32_t length;
    bool operator<(const Candidate& other) const noexcept {
      return score < other.score || (score == other.score && left > other.left);
    }
  };
  void consider(std::string_view piece, std::int32_t left);
  std::size_t finish(std::string_view piece, bool drop_missing, std::vector<std::int32_t>& ids);

  const std::vector<double>& scores_;
  const Vocabulary& vocabulary_;
  std::vector<Symbol> symbols_, last_;
  std::vector<Candidate> heap_;
};

}  // namespace kedge::inline KEDGE_ABI::text
