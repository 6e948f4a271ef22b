// Regular expressions over UTF-8, through PCRE2. Private to the text component.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kedge/core/result.hpp"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace kedge::inline KEDGE_ABI::text {

// Unicode's White_Space, to be used inside a class. PCRE2's own \s also has U+180E, which is none
// since Unicode 6.3 and which the engines that tokenizers were trained with do not match.
#define KEDGE_SPACE R"(\p{Z}\t-\r\x{85})"
// What Oniguruma's and Rust's \w have.
#define KEDGE_WORD R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})"

// A compiled expression; immutable. \p{L} and the like are those of the Unicode version that PCRE2
// was built with (10.42: Unicode 14).
class Regex {
 public:
  // `expression` in PCRE2's syntax; an error (unsupported) with PCRE2's words has `place`.
  static Result<Regex> compile(std::string_view expression, const char* place);

 private:
  friend class Matcher;
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const noexcept;
  };
  std::unique_ptr<pcre2_real_code_8, FreeCode> code_;
};

// The scratch memory of one call's matching.
class Matcher {
 public:
  struct Range {
    std::size_t begin, end;
  };
  static Result<Matcher> create();

  // The first match at or after `from` in `text`, which must be UTF-8 and `from` the beginning of a
  // character; {npos, npos} when there is none. A match may be empty.
  Result<Range> search(const Regex& regex, std::string_view text, std::size_t from);
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

 private:
  struct FreeMatch {
    void operator()(pcre2_real_match_data_8* match) const noexcept;
  };
  struct FreeContext {
    void operator()(pcre2_real_match_context_8* context) const noexcept;
  };
  struct FreeStack {
    void operator()(pcre2_real_jit_stack_8* stack) const noexcept;
  };
  std::unique_ptr<pcre2_real_jit_stack_8, FreeStack> stack_;
  std::unique_ptr<pcre2_real_match_context_8, FreeContext> context_;
  std::unique_ptr<pcre2_real_match_data_8, FreeMatch> match_;
};

// All matches of `text` in order, as Oniguruma's bindings find them: an empty match where the last
// one ended is passed over. sink(begin, end) -> Status.
template <class Sink>
Status each_match(Matcher& matcher, const Regex& regex, std::string_view text, Sink&& sink) {
  std::size_t from = 0, last_end = Matcher::npos;
  while (from <= text.size()) {
    KEDGE_TRY(const Matcher::Range found, matcher.search(regex, text, from));
    if (found.begin == Matcher::npos) break;
    if (found.begin == found.end && found.end == last_end) {
      do ++from;
      while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80);
      continue;
    }
    KEDGE_CHECK(sink(found.begin, found.end));
    from = last_end = found.end;
  }
  return {};
}

// An expression that matches exactly `text`.
std::string quoted_regex(std::string_view text);

// The same expression for PCRE2, given one for Oniguruma in its default (Ruby) syntax, as
// tokenizer.json has them. Errors (unsupported, with `place`) name what has no exact counterpart.
Result<std::string> from_oniguruma(std::string_view expression, const char* place);

}  // namespace kedge::inline KEDGE_ABI::text
