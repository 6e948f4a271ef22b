// Tokenizer: byte-pair encoding, byte-level or as SentencePiece does it, and Unigram, with what
// comes before it: normalization, added tokens, and a pre-tokenizer. From GGUF metadata, where the
// pre-tokenizer is chosen by name, or from a tokenizer.json, where all is spelled out.
// Immutable; a copy is another handle to the same vocabulary, and any number of threads may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::io {
class Gguf;
}

namespace kedge::inline KEDGE_ABI::text {

// GGUF's token types. Control and unknown tokens are special: plain text never becomes one.
// A user-defined token is ordinary text that is always kept whole.
enum class TokenType : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,  // <0x00> ... <0xFF> of SentencePiece's models
};

struct Definition;

// What a tokenizer is made from, as GGUF has it. Model "gpt2" is byte-level BPE: token texts are in
// GPT-2's byte-to-unicode alphabet, all but the normal ones as they are. Model "llama" is
// SentencePiece's BPE: a space is written U+2581, and neighbours are joined by score.
struct TokenizerData {
  std::string model = "gpt2";
  std::string pre;                  // of gpt2: the family
  std::vector<std::string> tokens;  // by id
  std::vector<TokenType> types;     // one per token
  std::vector<std::string> merges;  // of gpt2: "left right", the first has the highest priority
  std::vector<double> scores;       // of llama: one per token
  bool add_space_prefix = true;     // of llama: every text begins with a space of its own
  std::optional<std::int32_t> bos, eos, unknown, padding;
  std::vector<std::int32_t> ends;  // further ids that end a turn; eos is always one
  std::optional<bool> add_bos;     // empty: what the pre-tokenizer's family or the model does
};

struct EncodeOptions {
  // Texts of control tokens become these tokens. Never set it for text from a user.
  bool parse_special = false;
  // Drop bytes that the vocabulary has no token for, as the `tokenizers` package does, instead of
  // returning an error. SmolLM2 lacks 21 bytes: some controls and such that UTF-8 rarely has.
  bool drop_missing_bytes = false;
  // Something comes before this text: no space is put before it where only a beginning gets one.
  bool continues = false;
};

class KEDGE_API Tokenizer {
 public:
  // Errors name the token or merge at fault: an unknown model or pre-tokenizer (with those known),
  // an empty or duplicate token, a merge of or into a token that does not exist, an id out of
  // range.
  static Result<Tokenizer> create(TokenizerData data) noexcept;
  // Reads tokenizer.ggml.*. Control tokens that usually end a turn (<|im_end|>, ...) become ends.
  static Result<Tokenizer> from_gguf(const io::Gguf& file) noexcept;
  // Reads a tokenizer.json of Hugging Face's `tokenizers` and, where given, the texts of
  // tokenizer_config.json (bos, eos, padding, add_bos_token) and generation_config.json (further
  // ends). What it asks for and Kedge does not do is an error (unsupported) that names it.
  static Result<Tokenizer> from_json(std::string_view tokenizer,
                                     std::string_view tokenizer_config = {},
                                     std::string_view generation_config = {}) noexcept;
  // The same, from a folder with these files (only tokenizer.json must be there), or from the path
  // of a tokenizer.json alone.
  static Result<Tokenizer> from_folder(const char* path) noexcept;
  static Result<Tokenizer> from_file(const char* path) noexcept;

  // Token ids of `text`, any bytes. Without a normalizer decode(encode(text)) is text, also where
  // it is not UTF-8: each run of invalid bytes is a piece of its own. (Qwen's tokenizers normalize
  // to NFC first; SentencePiece's take U+2581 for a space.) Adds no beginning-of-sequence token.
  // Special tokens only with parse_special; but a character that neither has a token nor bytes is
  // the unknown token in models that have one.
  // Errors: invalid_argument for a byte without a token (see drop_missing_bytes), naming byte and
  // offset, and for more than 2^31 - 1 bytes; out_of_memory.
  Result<std::vector<std::int32_t>> encode(std::string_view text,
                                           EncodeOptions options = {}) const noexcept;
  // Adds the ids to `ids` instead; on an error `ids` is as before.
  Status append(std::string_view text, EncodeOptions options,
                std::vector<std::int32_t>& ids) const noexcept;

  // The bytes of all tokens, special ones as their text, without the space that the tokenizer put
  // before the text. An id out of range is an error.
  Result<std::string> decode(std::span<const std::int32_t> ids) const noexcept;

  // The bytes that the token stands for; empty when the id is out of range. Lives as long as any
  // copy of this tokenizer. Allocates nothing, as do all the members below.
  std::string_view token_bytes(std::int32_t id) const noexcept;
  bool is_special(std::int32_t id) const noexcept;
  // An id that files have and no text becomes, to pad a vocabulary to a round size.
  bool is_unused(std::int32_t id) const noexcept;
  bool is_end(std::int32_t id) const noexcept;
  // The control or user-defined token with exactly this text.
  std::optional<std::int32_t> find_special(std::string_view text) const noexcept;

  std::int32_t size() const noexcept;          // tokens; ids are 0 .. size() - 1
  std::size_t longest_token() const noexcept;  // bytes
  std::optional<std::int32_t> bos() const noexcept;
  std::optional<std::int32_t> eos() const noexcept;
  std::optional<std::int32_t> unknown() const noexcept;
  std::optional<std::int32_t> padding() const noexcept;
  std::span<const std::int32_t> ends() const noexcept;  // ascending
  bool add_bos() const noexcept;                        // whether a prompt should start with bos()
  // What a prompt should start with: nothing, bos(), or what a tokenizer.json says.
  std::span<const std::int32_t> prefix() const noexcept;
  // Whether decode() drops a leading space, which is not the writer's.
  bool strips_space() const noexcept;
  std::string_view pre() const noexcept;  // the family's name, or "llama", or "tokenizer.json"

  struct Impl;  // private to the library

 private:
  friend Result<Tokenizer> assemble(Definition definition);
  explicit Tokenizer(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace kedge::inline KEDGE_ABI::text
