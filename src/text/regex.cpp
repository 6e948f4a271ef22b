#include "regex.hpp"

#include <pcre2.h>

namespace kedge::inline KEDGE_ABI::text {
namespace {

Unexpected pcre2_failure(int code, const char* place, const char* what) {
  char message[160] = {};
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
  const Code kind = code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAPLIMIT
                        ? Code::out_of_memory
                        : Code::unsupported;
  return fail(kind, place, "%s: PCRE2: %s", what, message);
}

}  // namespace

void Regex::FreeCode::operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
void Matcher::FreeMatch::operator()(pcre2_match_data* match) const noexcept {
  pcre2_match_data_free(match);
}
void Matcher::FreeContext::operator()(pcre2_match_context* context) const noexcept {
  pcre2_match_context_free(context);
}
void Matcher::FreeStack::operator()(pcre2_jit_stack* stack) const noexcept {
  pcre2_jit_stack_free(stack);
}

Result<Regex> Regex::compile(std::string_view expression, const char* place) {
  Regex regex;
  int code = 0;
  PCRE2_SIZE at = 0;
  regex.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                  expression.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_NO_AUTO_CAPTURE,
                                  &code, &at, nullptr));
  if (!regex.code_) {
    return code == PCRE2_ERROR_HEAP_FAILED
               ? fail(Code::out_of_memory, place, "no memory to compile an expression")
               : pcre2_failure(code, place, "a regular expression");
  }
  // Where a system allows no executable memory this fails, and matching interprets instead.
  pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE);
  return regex;
}

Result<Matcher> Matcher::create() {
  Matcher matcher;
  matcher.context_.reset(pcre2_match_context_create(nullptr));
  matcher.match_.reset(pcre2_match_data_create(1, nullptr));
  if (!matcher.context_ || !matcher.match_)
    return fail(Code::out_of_memory, "tokenizer", "no memory to split a text");
  // No stack where PCRE2 has no JIT; one on the machine's stack is used then.
  matcher.stack_.reset(pcre2_jit_stack_create(32 * 1024, 1024 * 1024, nullptr));
  if (matcher.stack_) pcre2_jit_stack_assign(matcher.context_.get(), nullptr, matcher.stack_.get());
  return matcher;
}

Result<Matcher::Range> Matcher::search(const Regex& regex, std::string_view text,
                                       std::size_t from) {
  // The text is known to be UTF-8, so PCRE2 need not check it again and again.
  const int code = pcre2_match(regex.code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                               text.size(), from, PCRE2_NO_UTF_CHECK, match_.get(), context_.get());
  if (code == PCRE2_ERROR_NOMATCH) return Range{npos, npos};
  if (code < 0) return pcre2_failure(code, "tokenizer", "matching a regular expression");
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match_.get());
  return Range{bounds[0], bounds[1]};
}

std::string quoted_regex(std::string_view text) {
  std::string expression;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       static_cast<unsigned char>(c) >= 0x80;
    if (!plain && c != '\n') expression += '\\';
    expression += c;
  }
  return expression;
}

}  // namespace kedge::inline KEDGE_ABI::text
