// Added tokens: texts that are found in a text before anything else is done with it, and become a
// token each. What is found, what is passed over and what is eaten on either side follows the
// `tokenizers` package.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/core/result.hpp"
#include "regex.hpp"
#include "text_map.hpp"

namespace kedge::inline KEDGE_ABI::text {

struct AddedToken {
  std::string content;
  std::int32_t id = -1;
  bool special = false;      // only found when the caller asks for special tokens
  bool normalized = false;   // looked for in the normalized text
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the whitespace before it along
  bool rstrip = false;       // and behind it
};

class AddedTokens {
 public:
  // Two with the same content: false, and nothing added.
  bool add(const AddedToken& token);
  // After the last add().
  Status finish();
  bool empty() const noexcept { return tokens_.empty(); }

  // Cuts `text`: token(id) for what is found and plain(begin, end) -> Status for what lies between,
  // never empty.
  template <class Token, class Plain>
  Status split(std::string_view text, bool parse_special, Token&& token, Plain&& plain) const {
    std::size_t done = 0;
    for (std::size_t i = 0; i < text.size();) {
      const AddedToken* found = longest_at(text.substr(i));
      if (found == nullptr) {
        ++i;
        continue;
      }
      std::size_t begin = i, end = i + found->content.size();
      i = end;
      // What is found but not wanted hides shorter tokens inside of it.
      if (found->special && !parse_special) continue;
      if (found->single_word) {
        KEDGE_TRY(const bool inside, within_word(text, begin, end));
        if (inside) continue;
      }
      if (found->lstrip) begin = std::max(space_before(text, begin), done);
      if (found->rstrip) end = space_behind(text, end);
      if (begin > done) KEDGE_CHECK(plain(done, begin));
      token(found->id);
      done = end;
    }
    return done < text.size() ? plain(done, text.size()) : Status();
  }

 private:
  const AddedToken* longest_at(std::string_view text) const;
  Result<bool> within_word(std::string_view text, std::size_t begin, std::size_t end) const;
  static std::size_t space_before(std::string_view text, std::size_t end);
  static std::size_t space_behind(std::string_view text, std::size_t begin);

  std::vector<AddedToken> tokens_;
  TextMap<std::size_t> by_content_;
  std::vector<std::size_t> lengths_;  // of the contents, longest first
  std::bitset<256> first_;            // bytes that one of them starts with
  std::optional<Regex> word_;         // a character of a word, if any token asks
};

}  // namespace kedge::inline KEDGE_ABI::text
