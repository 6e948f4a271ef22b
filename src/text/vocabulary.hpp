// Vocabulary: the tokens that a piece of text can become, and how its first symbols are found: by
// byte (byte-level models) or by character, with bytes as the way out (SentencePiece's models).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kedge/core/config.hpp"
#include "text_map.hpp"

namespace kedge::inline KEDGE_ABI::text {

struct Symbol {
  std::int32_t id;              // -1: joined into the one before, or nothing yet
  std::uint32_t begin, length;  // bytes of the piece
  std::int32_t previous, next;  // -1 at the ends
};

struct Vocabulary {
  bool byte_level = true;
  // The token of every byte, -1 for none: of byte-level models, or <0x00> ... <0xFF>.
  std::array<std::int32_t, 256> byte_ids;
  TextMap<std::int32_t> words;  // tokens by their text; none that is special
  std::size_t longest_word = 0;
  std::int32_t unknown = -1;  // what a character without a token becomes; -1: it has no token
  bool fuse_unknown = false;  // several in a row are one

  static constexpr std::size_t done = static_cast<std::size_t>(-1);
  // Adds the symbols of a piece (less than 2^31 bytes), linked to their neighbours, or returns the
  // index of a byte that has none; with drop_missing that is left out.
  std::size_t split(std::string_view piece, bool drop_missing, std::vector<Symbol>& symbols) const;

  std::int32_t word(std::string_view text) const noexcept {
    if (text.size() > longest_word) return -1;
    const auto found = words.find(text);
    return found == words.end() ? -1 : found->second;
  }
};

}  // namespace kedge::inline KEDGE_ABI::text
