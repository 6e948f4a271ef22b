#include "pre_tokenizer.hpp"

#include <pcre2.h>

#include <new>
#include <string>

namespace kedge::inline KEDGE_ABI::text {
namespace {

// Unicode's White_Space, to be used inside a class. PCRE2's own \s also has U+180E, which is none
// since Unicode 6.3 and which the engines that these models were trained with do not match.
#define KEDGE_SPACE R"(\p{Z}\t-\r\x{85})"
// A run of whitespace without its last character if a word follows (that one belongs to the word).
#define KEDGE_SPACES "[" KEDGE_SPACE "]+(?![^" KEDGE_SPACE "])|[" KEDGE_SPACE "]+"

// \p{L} and \p{N} are those of the Unicode version PCRE2 was built with (10.42: Unicode 14). With
// it all code points but those assigned later are cut as the `tokenizers` package cuts them.
constexpr PreTokenizerRow rows[] = {
    // GPT-2's expression on what lies between single digits.
    {"smollm",
     {R"(\p{N})", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" KEDGE_SPACE
                  R"(\p{L}\p{N}]+|)" KEDGE_SPACES},
     false,
     false},
    {"llama-bpe",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^)" KEDGE_SPACE
      R"(\p{L}\p{N}]+[\r\n]*|[)" KEDGE_SPACE R"(]*[\r\n]+|)" KEDGE_SPACES},
     true,
     true},
};

#undef KEDGE_SPACE
#undef KEDGE_SPACES

Unexpected pcre2_failure(int code, const char* what, const char* name) {
  char message[160] = {};
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
  const Code kind = code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAPLIMIT
                        ? Code::out_of_memory
                        : Code::unsupported;
  return fail(kind, "pre-tokenizer", "%s of \"%s\": PCRE2: %s", what, name, message);
}

}  // namespace

void PreTokenizer::FreeCode::operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
void Splitter::FreeMatch::operator()(pcre2_match_data* match) const noexcept {
  pcre2_match_data_free(match);
}
void Splitter::FreeContext::operator()(pcre2_match_context* context) const noexcept {
  pcre2_match_context_free(context);
}
void Splitter::FreeStack::operator()(pcre2_jit_stack* stack) const noexcept {
  pcre2_jit_stack_free(stack);
}

Result<PreTokenizer> PreTokenizer::create(std::string_view name) {
  PreTokenizer pre;
  std::string known;
  for (const PreTokenizerRow& row : rows) {
    if (name == row.name) pre.row_ = &row;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  if (pre.row_ == nullptr) {
    return fail(
        Code::unsupported, "tokenizer.ggml.pre", "unknown pre-tokenizer \"%.*s\"; known: %s",
        static_cast<int>(std::min<std::size_t>(name.size(), 100)), name.data(), known.c_str());
  }
  for (const char* expression : pre.row_->expressions) {
    if (expression == nullptr) break;
    int code = 0;
    PCRE2_SIZE at = 0;
    pre.expressions_.emplace_back(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression),
                                                PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code,
                                                &at, nullptr));
    if (!pre.expressions_.back()) return pcre2_failure(code, "an expression", pre.row_->name);
    // Where a system allows no executable memory this fails, and matching interprets instead.
    pcre2_jit_compile(pre.expressions_.back().get(), PCRE2_JIT_COMPLETE);
  }
  return pre;
}

Result<Splitter> Splitter::create(const PreTokenizer& pre) {
  Splitter splitter;
  splitter.pre_ = &pre;
  splitter.context_.reset(pcre2_match_context_create(nullptr));
  splitter.stack_.reset(pcre2_jit_stack_create(32 * 1024, 1024 * 1024, nullptr));
  const auto no_memory = [] {
    return fail(Code::out_of_memory, "tokenizer", "no memory to split a text");
  };
  if (!splitter.context_) return no_memory();
  // No stack where PCRE2 has no JIT; one on the machine's stack is used then.
  if (splitter.stack_) {
    pcre2_jit_stack_assign(splitter.context_.get(), nullptr, splitter.stack_.get());
  }
  for (const auto& expression : pre.expressions_) {
    splitter.matches_.emplace_back(pcre2_match_data_create_from_pattern(expression.get(), nullptr));
    if (!splitter.matches_.back()) return no_memory();
  }
  return splitter;
}

Result<Splitter::Range> Splitter::match(std::size_t step, std::string_view text,
                                        std::size_t from) const noexcept {
  // The text is known to be UTF-8 (split() saw to it), so PCRE2 need not check it again and again.
  const int code = pcre2_match(
      pre_->expressions_[step].get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
      PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, matches_[step].get(), context_.get());
  if (code == PCRE2_ERROR_NOMATCH) return Range{text.size(), text.size()};
  if (code < 0) return pcre2_failure(code, "matching", pre_->row_->name);
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(matches_[step].get());
  return Range{bounds[0], bounds[1]};
}

}  // namespace kedge::inline KEDGE_ABI::text
