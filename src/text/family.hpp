// Families of byte-level tokenizers by the names that GGUF's tokenizer.ggml.pre has for them. A
// GGUF file says no more than that name, so a row holds what the family's tokenizer.json says: the
// normalizer, the expressions, and whether a whole word that is a token is one.
#pragma once

#include <string_view>

#include "normalizer.hpp"
#include "pre_tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {

struct Family {
  const char* names[10];       // ends at the first null; the first is what errors list
  const char* expressions[4];  // ends at the first null; what each matches is a piece
  bool nfc;                    // llama.cpp does not normalize; the `tokenizers` package does
  bool whole_words;            // a piece that is a token is that token, whatever the merges say
  bool add_bos;                // what the family does when the file does not say

  // Unknown: an error (unsupported) that lists what is known.
  static Result<const Family*> find(std::string_view name);
  Status build(Normalizer& normalizer, PreTokenizer& pre) const;
};

// GPT-2's expression, which the `tokenizers` package's ByteLevel has built in.
extern const char* const gpt2_expression;

}  // namespace kedge::inline KEDGE_ABI::text
