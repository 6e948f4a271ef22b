#include "added_tokens.hpp"

#include <algorithm>
#include <functional>

#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

// Unicode's White_Space.
bool is_space(char32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// The character that ends at `end`; of length 0 when there is none.
Utf8Step step_before(std::string_view text, std::size_t end) {
  for (std::size_t length = 1; length <= 4 && length <= end; ++length) {
    const Utf8Step step = utf8_step(text.substr(end - length, length));
    if (step.kind == Utf8Step::Kind::character && step.length == length) return step;
  }
  return {Utf8Step::Kind::invalid, 0, 0};
}

}  // namespace

bool AddedTokens::add(const AddedToken& token) {
  if (!by_content_.emplace(token.content, tokens_.size()).second) return false;
  tokens_.push_back(token);
  lengths_.push_back(token.content.size());
  first_.set(static_cast<unsigned char>(token.content[0]));
  return true;
}

Status AddedTokens::finish() {
  std::sort(lengths_.begin(), lengths_.end(), std::greater<>());
  lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
  const bool words = std::any_of(tokens_.begin(), tokens_.end(),
                                 [](const AddedToken& token) { return token.single_word; });
  if (words) {
    // With the two joiners, as Rust's \w has it.
    KEDGE_TRY(word_, Regex::compile("[" KEDGE_WORD R"(\x{200C}\x{200D}])", "added_tokens"));
  }
  return {};
}

const AddedToken* AddedTokens::longest_at(std::string_view text) const {
  if (!first_.test(static_cast<unsigned char>(text[0]))) return nullptr;
  for (const std::size_t length : lengths_) {
    if (length > text.size()) continue;
    const auto found = by_content_.find(text.substr(0, length));
    if (found != by_content_.end()) return &tokens_[found->second];
  }
  return nullptr;
}

Result<bool> AddedTokens::within_word(std::string_view text, std::size_t begin,
                                      std::size_t end) const {
  KEDGE_TRY(Matcher matcher, Matcher::create());
  const Utf8Step before = step_before(text, begin);
  const Utf8Step behind =
      end < text.size() ? utf8_step(text.substr(end)) : Utf8Step{Utf8Step::Kind::invalid, 0, 0};
  const std::string_view sides[] = {text.substr(begin - before.length, before.length),
                                    behind.kind == Utf8Step::Kind::character
                                        ? text.substr(end, behind.length)
                                        : std::string_view()};
  for (const std::string_view side : sides) {
    if (side.empty()) continue;
    KEDGE_TRY(const Matcher::Range found, matcher.search(*word_, side, 0));
    if (found.begin != Matcher::npos) return true;
  }
  return false;
}

std::size_t AddedTokens::space_before(std::string_view text, std::size_t end) {
  for (;;) {
    const Utf8Step step = step_before(text, end);
    if (step.length == 0 || !is_space(step.value)) return end;
    end -= step.length;
  }
}

std::size_t AddedTokens::space_behind(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const Utf8Step step = utf8_step(text.substr(begin));
    if (step.kind != Utf8Step::Kind::character || !is_space(step.value)) break;
    begin += step.length;
  }
  return begin;
}

}  // namespace kedge::inline KEDGE_ABI::text
