// What a GGUF file says about text: tokenizer.ggml.* and the chat template.
#include <limits>
#include <string>

#include "definition.hpp"
#include "guard.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/text/chat_template.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

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
    const int last = data.model == "llama" ? 6 : 5;
    if (type < 1 || type > last) {
      return fail(Code::unsupported, key, "token %zu has type %lld; expected 1 to %d", i,
                  static_cast<long long>(type), last);
    }
    data.types.push_back(static_cast<TokenType>(type));
  }
  return {};
}

Status read_scores(const io::Gguf& file, TokenizerData& data) {
  constexpr const char* key = "tokenizer.ggml.scores";
  KEDGE_TRY(const io::GgufArray* scores, array_of(file, key, io::GgufValue::Type::f32));
  data.scores = scores->floats;
  if (file.find("tokenizer.ggml.add_space_prefix") != nullptr) {
    KEDGE_TRY(data.add_space_prefix, file.boolean("tokenizer.ggml.add_space_prefix"));
  }
  if (file.find("tokenizer.ggml.precompiled_charsmap") != nullptr) {
    return fail(Code::unsupported, "tokenizer.ggml.precompiled_charsmap",
                "SentencePiece's own normalization is not done");
  }
  return {};
}

Status read_ends(const io::Gguf& file, TokenizerData& data) {
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    std::optional<std::int32_t> id;
    KEDGE_CHECK(read_id(file, key, id));
    if (id) data.ends.push_back(*id);
  }
  add_known_ends(data.tokens, data.types, data.ends);
  return {};
}

}  // namespace

Result<Tokenizer> Tokenizer::from_gguf(const io::Gguf& file) noexcept {
  return guarded("tokenizer", [&]() -> Result<Tokenizer> {
    using Type = io::GgufValue::Type;
    TokenizerData data;
    KEDGE_TRY(const std::string_view model, file.string("tokenizer.ggml.model"));
    data.model = model;
    const bool llama = data.model == "llama";
    // Other models have other keys; create() refuses the name before it looks at anything else.
    if (data.model != "gpt2" && !llama) return create(std::move(data));
    KEDGE_TRY(const io::GgufArray* tokens, array_of(file, "tokenizer.ggml.tokens", Type::string));
    if (llama) {
      KEDGE_CHECK(read_scores(file, data));
    } else {
      KEDGE_TRY(const std::string_view pre, file.string("tokenizer.ggml.pre"));
      data.pre = pre;
      KEDGE_TRY(const io::GgufArray* merges, array_of(file, "tokenizer.ggml.merges", Type::string));
      data.merges = merges->strings;
    }
    data.tokens = tokens->strings;
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
