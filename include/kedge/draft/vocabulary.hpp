// Whether two models mean the same by their tokens. A draft model may guess for a target whose
// vocabulary is the same, where the larger of both may have unused ids behind it (embeddings are
// padded to round sizes), or for another one through a map of the tokens with equal texts.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kedge/core/buffer.hpp"

namespace kedge::inline KEDGE_ABI::draft {

// A vocabulary as a comparison sees it. The tokenizer must outlive it.
struct Vocabulary {
  enum class Use : std::uint8_t { unused, plain, special };

  const void* tokenizer = nullptr;
  std::int32_t size = 0;
  std::string_view (*text)(const void* tokenizer, std::int32_t id) noexcept = nullptr;
  Use (*use)(const void* tokenizer, std::int32_t id) noexcept = nullptr;
};

// Of a text::Tokenizer, or what has the same members.
template <class Tokenizer>
Vocabulary vocabulary_of(const Tokenizer& tokenizer) noexcept {
  return {&tokenizer, tokenizer.size(),
          [](const void* t, std::int32_t id) noexcept {
            return static_cast<const Tokenizer*>(t)->token_bytes(id);
          },
          [](const void* t, std::int32_t id) noexcept {
            const auto& self = *static_cast<const Tokenizer*>(t);
            return self.is_unused(id)    ? Vocabulary::Use::unused
                   : self.is_special(id) ? Vocabulary::Use::special
                                         : Vocabulary::Use::plain;
          }};
}

// Code::invalid_argument when the vocabularies differ: how many ids do, and the first of them with
// both texts. Ids that only one of both has are no difference when they are unused.
KEDGE_API Status expect_same_vocabulary(const Vocabulary& target, const Vocabulary& draft) noexcept;

// Which tokens of a draft's and a target's vocabulary are the same.
struct VocabularyMap {
  std::span<const std::int32_t> to_target;  // by id of the draft; -1: the target has no such token
  std::span<const std::int32_t> to_draft;   // by id of the target
  std::int64_t shared = 0;
  Buffer memory;
};
// Tokens with the same text and use. Code::invalid_argument when there is none.
KEDGE_API Result<VocabularyMap> map_vocabulary(
    const Vocabulary& target, const Vocabulary& draft,
    const Allocator& allocator = default_allocator()) noexcept;

}  // namespace kedge::inline KEDGE_ABI::draft
