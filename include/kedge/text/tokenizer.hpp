// Tokenizer: byte-level BPE (the "gpt2" model of GGUF) over a pre-tokenizer that is chosen by name.
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
};

// What a tokenizer is made from. Token texts are as GGUF and vocab.json write them: normal ones in
// GPT-2's byte-to-unicode alphabet, all others as they are.
struct TokenizerData {
  std::string model = "gpt2";
  std::string pre;
  std::vector<std::string> tokens;  // by id
  std::vector<TokenType> types;     // one per token
  std::vector<std::string> merges;  // "left right", the first has the highest priority
  std::optional<std::int32_t> bos, eos, unknown, padding;
  std::vector<std::int32_t> ends;  // further ids that end a turn; eos is always one
  std::optional<bool> add_bos;     // empty: what the pre-tokenizer's family does
};

struct EncodeOptions {
  // Texts of control tokens become these tokens. Never set it for text from a user.
  bool parse_special = false;
  // Drop bytes that the vocabulary has no token for, as the `tokenizers` package does, instead of
  // returning an error. SmolLM2 lacks 21 bytes: some controls and such that UTF-8 rarely has.
  bool drop_missing_bytes = false;
};

class KEDGE_API Tokenizer {
 public:
  // Errors name the token or merge at fault: an unknown model or pre-tokenizer (with those known),
  // an empty or duplicate token, a merge of or into a token that does not exist, an id out of
  // range.
  static Result<Tokenizer> create(TokenizerData data) noexcept;
  // Reads tokenizer.ggml.*. Control tokens that usually end a turn (<|im_end|>, ...) become ends.
  static Result<Tokenizer> from_gguf(const io::Gguf& file) noexcept;

  // Token ids of `text`, any bytes. decode(encode(text)) is text, also where it is not UTF-8: each
  // run of invalid bytes is a piece of its own. Adds no beginning-of-sequence token.
  // Errors: invalid_argument for a byte without a token (see drop_missing_bytes), naming byte and
  // offset, and for more than 2^31 - 1 bytes; out_of_memory.
  Result<std::vector<std::int32_t>> encode(std::string_view text,
                                           EncodeOptions options = {}) const noexcept;
  // Adds the ids to `ids` instead; on an error `ids` is as before.
  Status append(std::string_view text, EncodeOptions options,
                std::vector<std::int32_t>& ids) const noexcept;

  // The bytes of all tokens, special ones as their text. An id out of range is an error.
  Result<std::string> decode(std::span<const std::int32_t> ids) const noexcept;

  // The bytes that the token stands for; empty when the id is out of range. Lives as long as any
  // copy of this tokenizer. Allocates nothing, as do all the members below.
  std::string_view token_bytes(std::int32_t id) const noexcept;
  bool is_special(std::int32_t id) const noexcept;
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
  std::string_view pre() const noexcept;

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace kedge::inline KEDGE_ABI::text
