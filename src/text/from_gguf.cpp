// What a GGUF file says about text: tokenizer.ggml.* and the chat template.
#include <algorithm>
#include <limits>
#include <string>

#include "guard.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/text/chat_template.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

// Control tokens that end an assistant's turn or a document in the families that use them. Files
// name one of them as eos; models also stop with the others.
constexpr std::string_view end_texts[] = {"<|im_end|>",      "<|endoftext|>", "<|eot_id|>",
                                          "<|end_of_text|>", "<|eom_id|>",    "<|end|>"};

Result<const io::GgufArray*> array_of(const io::Gguf& file, const char* key,
                                      io::GgufValue::Type type) {
  KEDGE_TRY(const io::GgufArray* array, file.array(key));
  // An empty array may have any element type; that there are no elements is reported later.
  if (array->type != type && array->size() > 0) {
    return fail(Code::malformed, key, "expected an array of type %u, found type %u",
                static_cast<unsigned>(type), static_cast<unsigned>(array->type));
  }
  return array;
}

Status read_id(const io::Gguf& file, const char* key, std::optional<std::int32_t>& id) {
  if (file.find(key) == nullptr) return {};
  KEDGE_TRY(const std::uint64_t value, file.uint(key));
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
    return fail(Code::malformed, key, "id %llu is out of range",
                static_cast<unsigned long long>(value));
  }
  id = static_cast<std::int32_t>(value);
  return {};
}

Status read_types(const io::Gguf& file, TokenizerData& data) {
  constexpr const char* key = "tokenizer.ggml.token_type";
  KEDGE_TRY(const io::GgufArray* types, array_of(file, key, io::GgufValue::Type::i32));
  data.types.reserve(types->integers.size());
  for (std::size_t i = 0; i < types->integers.size(); ++i) {
    const std::int64_t type = types->integers[i];
    if (type < 1 || type > 5) {
      return fail(Code::unsupported, key, "token %zu has type %lld; expected 1 to 5", i,
                  static_cast<long long>(type));
    }
    data.types.push_back(static_cast<TokenType>(type));
  }
  return {};
}

Status read_ends(const io::Gguf& file, TokenizerData& data) {
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    std::optional<std::int32_t> id;
    KEDGE_CHECK(read_id(file, key, id));
    if (id) data.ends.push_back(*id);
  }
  for (std::size_t i = 0; i < std::min(data.tokens.size(), data.types.size()); ++i) {
    if (data.types[i] == TokenType::control && std::find(std::begin(end_texts), std::end(end_texts),
                                                         data.tokens[i]) != std::end(end_texts)) {
      data.ends.push_back(static_cast<std::int32_t>(i));
    }
  }
  return {};
}

}  // namespace

Result<Tokenizer> Tokenizer::from_gguf(const io::Gguf& file) noexcept {
  return guarded("tokenizer", [&]() -> Result<Tokenizer> {
    using Type = io::GgufValue::Type;
    TokenizerData data;
    KEDGE_TRY(const std::string_view model, file.string("tokenizer.ggml.model"));
    data.model = model;
    // Other models have other keys; create() refuses the name before it looks at anything else.
    if (data.model != "gpt2") return create(std::move(data));
    KEDGE_TRY(const std::string_view pre, file.string("tokenizer.ggml.pre"));
    data.pre = pre;
    KEDGE_TRY(const io::GgufArray* tokens, array_of(file, "tokenizer.ggml.tokens", Type::string));
    KEDGE_TRY(const io::GgufArray* merges, array_of(file, "tokenizer.ggml.merges", Type::string));
    data.tokens = tokens->strings;
    data.merges = merges->strings;
    KEDGE_CHECK(read_types(file, data));
    KEDGE_CHECK(read_id(file, "tokenizer.ggml.bos_token_id", data.bos));
    KEDGE_CHECK(read_id(file, "tokenizer.ggml.eos_token_id", data.eos));
    KEDGE_CHECK(read_id(file, "tokenizer.ggml.unknown_token_id", data.unknown));
    KEDGE_CHECK(read_id(file, "tokenizer.ggml.padding_token_id", data.padding));
    KEDGE_CHECK(read_ends(file, data));
    if (file.find("tokenizer.ggml.add_bos_token") != nullptr) {
      KEDGE_TRY(const bool add_bos, file.boolean("tokenizer.ggml.add_bos_token"));
      data.add_bos = add_bos;
    }
    return create(std::move(data));
  });
}

Result<ChatTemplate> ChatTemplate::from_gguf(const io::Gguf& file) noexcept {
  KEDGE_TRY(const std::string_view source, file.string("tokenizer.chat_template"));
  return recognise(source);
}

}  // namespace kedge::inline KEDGE_ABI::text
