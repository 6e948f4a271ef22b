#include "family.hpp"

#include <algorithm>
#include <string>

namespace kedge::inline KEDGE_ABI::text {
namespace {

// A run of whitespace without its last character if a word follows (that one belongs to the word).
#define KEDGE_SPACES "[" KEDGE_SPACE "]+(?![^" KEDGE_SPACE "])|[" KEDGE_SPACE "]+"
#define KEDGE_GPT2 \
  R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" KEDGE_SPACE R"(\p{L}\p{N}]+|)" KEDGE_SPACES
// Llama 3's and those made after it: `number` is how many digits make a piece, `word` what a word
// is made of.
#define KEDGE_TIKTOKEN(word, number)                                       \
  R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?)" word R"(+|)" number \
  R"(| ?[^)" KEDGE_SPACE word R"(\p{N}]+[\r\n]*|[)" KEDGE_SPACE R"(]*[\r\n]+|)" KEDGE_SPACES

// Where the names stand for one row each: llama.cpp's list of pre-tokenizers. Where the expressions
// and the normalizer come from: the families' tokenizer.json.
constexpr Family families[] = {
    {{"smollm"}, {R"(\p{N})", KEDGE_GPT2}, false, false, false},
    {{"llama-bpe", "llama3", "llama-v3"},
     {KEDGE_TIKTOKEN(R"(\p{L})", R"(\p{N}{1,3})")},
     false,
     true,
     true},
    // Qwen 2, 2.5 and 3, and distillates into them.
    {{"qwen2", "deepseek-r1-qwen"}, {KEDGE_TIKTOKEN(R"(\p{L})", R"(\p{N})")}, true, false, false},
    {{"qwen35"},
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^)" KEDGE_SPACE
      R"(\p{L}\p{M}\p{N}]+[\r\n]*|[)" KEDGE_SPACE R"(]*[\r\n]+|)" KEDGE_SPACES},
     true,
     false,
     false},
    {{"chatglm-bpe", "glm4"}, {KEDGE_TIKTOKEN(R"(\p{L})", R"(\p{N}{1,3})")}, false, false, false},
    {{"gpt-2", "phi-2"}, {KEDGE_GPT2}, false, false, false},
    // What llama.cpp does when a converter knew no name.
    {{"default"},
     {R"([\p{P}$+<=>^~|]+)", KEDGE_GPT2, R"(\p{N}+)", "[0-9][0-9][0-9]"},
     false,
     false,
     false},
};

}  // namespace

const char* const gpt2_expression = KEDGE_GPT2;

Result<const Family*> Family::find(std::string_view name) {
  std::string known;
  for (const Family& family : families) {
    for (const char* const* one = family.names; *one != nullptr; ++one)
      if (name == *one) return &family;
    known += (known.empty() ? "" : ", ") + std::string(family.names[0]);
  }
  return fail(Code::unsupported, "tokenizer.ggml.pre", "unknown pre-tokenizer \"%.*s\"; known: %s",
              static_cast<int>(std::min<std::size_t>(name.size(), 100)), name.data(),
              known.c_str());
}

Status Family::build(Normalizer& normalizer, PreTokenizer& pre) const {
  if (nfc) normalizer.add_form(Form::nfc);
  for (const char* expression : expressions) {
    if (expression == nullptr) break;
    KEDGE_TRY(Regex regex, Regex::compile(expression, names[0]));
    pre.add_split(std::move(regex), Behavior::isolated, false);
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::text
