// Definition: all that a tokenizer is made of, whatever file it came from, and what it becomes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "added_tokens.hpp"
#include "bpe.hpp"
#include "kedge/text/tokenizer.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "unigram.hpp"
#include "vocabulary.hpp"

namespace kedge::inline KEDGE_ABI::text {

enum class ModelKind : std::uint8_t {
  merges,   // byte-pair encoding by a list of merges
  scores,   // byte-pair encoding by the scores of the tokens
  unigram,  // the best sum of scores
};

struct Definition {
  struct Merge {
    std::int32_t left, right, joined;
  };
  std::string name;                     // what pre() says
  const char* file = "tokenizer.ggml";  // for errors
  std::vector<std::string> texts;  // by id, as the file writes them; empty where an id has no token
  std::vector<TokenType> types;
  bool byte_level = true;   // normal tokens are in GPT-2's alphabet
  bool marks_space = true;  // otherwise: whether they write a space as U+2581
  ModelKind model = ModelKind::merges;
  std::vector<Merge> merges;   // the first has the highest priority
  std::vector<double> scores;  // of scores and unigram: one per token
  bool whole_words = false;    // a piece that is a token is that token, whatever the merges say
  std::int32_t unknown_symbol = -1;  // what a character becomes that has no token and no bytes
  bool fuse_unknown = false;
  Normalizer normalizer;
  PreTokenizer pre;
  std::vector<AddedToken> added;
  bool strip_space = false;  // the first text's leading space is the tokenizer's, not the writer's
  std::optional<std::int32_t> bos, eos, unknown, padding;
  std::vector<std::int32_t> ends;    // eos is always one
  std::vector<std::int32_t> prefix;  // what a prompt begins with
};

// For "%.*s": as much of a text as an error has room for.
inline int shown(std::string_view text) {
  return static_cast<int>(text.size() < 80 ? text.size() : 80);
}
inline bool special(TokenType type) noexcept {
  return type == TokenType::control || type == TokenType::unknown;
}

// Checks the definition and makes a tokenizer of it.
Result<Tokenizer> assemble(Definition definition);

// Control tokens that end an assistant's turn or a document in the families that use them. Files
// name one of them as eos; models also stop with the others.
void add_known_ends(const std::vector<std::string>& texts, const std::vector<TokenType>& types,
                    std::vector<std::int32_t>& ends);

struct Tokenizer::Impl {
  std::string name;
  Normalizer normalizer;
  PreTokenizer pre;
  ModelKind model = ModelKind::merges;
  bool whole_words = false, strip_space = false;
  Vocabulary vocabulary;
  MergeTable merges;
  std::vector<double> scores;
  Unigram unigram;
  AddedTokens added, added_normalized;  // found before and after normalization
  TextMap<std::int32_t> added_ids;      // control, unknown and user-defined tokens by text
  std::string bytes;                    // of all tokens, one after the other
  std::vector<std::size_t> offsets;     // size() + 1
  std::vector<TokenType> types;
  std::size_t longest = 0;
  std::optional<std::int32_t> bos, eos, unknown, padding;
  std::vector<std::int32_t> ends, prefix;

  std::string_view token(std::int32_t id) const noexcept {
    const auto i = static_cast<std::size_t>(id);
    return std::string_view(bytes).substr(offsets[i], offsets[i + 1] - offsets[i]);
  }
  Status set_tokens(Definition& definition);
  Status set_added(const Definition& definition);
  Status append(std::string_view text, EncodeOptions options, std::vector<std::int32_t>& ids) const;
};

}  // namespace kedge::inline KEDGE_ABI::text
