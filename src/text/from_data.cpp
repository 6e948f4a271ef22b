// What GGUF says of a tokenizer, checked, becomes a definition.
#include <limits>
#include <string>
#include <unordered_map>

#include "definition.hpp"
#include "family.hpp"
#include "guard.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

using Ids = std::unordered_map<std::string_view, std::int32_t>;
constexpr std::size_t largest = std::numeric_limits<std::int32_t>::max();

Result<Ids> check_tokens(const TokenizerData& data) {
  constexpr const char* place = "tokenizer.ggml.tokens";
  if (data.tokens.empty() || data.tokens.size() > largest || data.merges.size() > largest) {
    return fail(Code::malformed, place, "%zu tokens and %zu merges; expected 1 to 2^31 - 1 tokens",
                data.tokens.size(), data.merges.size());
  }
  if (data.types.size() != data.tokens.size()) {
    return fail(Code::malformed, "tokenizer.ggml.token_type", "%zu types for %zu tokens",
                data.types.size(), data.tokens.size());
  }
  // Only SentencePiece's models have tokens that are bytes.
  const auto last_type = data.model == "llama" ? TokenType::byte : TokenType::unused;
  Ids ids;
  ids.reserve(data.tokens.size());
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string& token = data.tokens[i];
    if (token.empty()) return fail(Code::malformed, place, "token %zu is empty", i);
    if (data.types[i] < TokenType::normal || data.types[i] > last_type) {
      return fail(Code::unsupported, "tokenizer.ggml.token_type",
                  "token %zu \"%.*s\" has type %d; expected 1 to %d", i, shown(token),
                  token.c_str(), static_cast<int>(data.types[i]), static_cast<int>(last_type));
    }
    const auto [other, fresh] = ids.emplace(token, static_cast<std::int32_t>(i));
    if (!fresh) {
      return fail(Code::malformed, place, "tokens %d and %zu are both \"%.*s\"", other->second, i,
                  shown(token), token.c_str());
    }
  }
  return ids;
}

Status read_merges(const TokenizerData& data, const Ids& ids, Definition& definition) {
  constexpr const char* place = "tokenizer.ggml.merges";
  definition.merges.reserve(data.merges.size());
  std::string joined;
  for (std::size_t i = 0; i < data.merges.size(); ++i) {
    const std::string_view merge = data.merges[i];
    const std::size_t space = merge.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == merge.size() ||
        merge.find(' ', space + 1) != std::string_view::npos) {
      return fail(Code::malformed, place,
                  "merge %zu is \"%.*s\"; expected two tokens with one space between", i,
                  shown(merge), merge.data());
    }
    const std::string_view parts[] = {merge.substr(0, space), merge.substr(space + 1)};
    joined.assign(parts[0]).append(parts[1]);
    std::int32_t found[3];
    const std::string_view texts[] = {parts[0], parts[1], joined};
    for (int k = 0; k < 3; ++k) {
      const auto at = ids.find(texts[k]);
      if (at == ids.end()) {
        return fail(Code::malformed, place,
                    "merge %zu \"%.*s\" names \"%.*s\", which is not a token", i, shown(merge),
                    merge.data(), shown(texts[k]), texts[k].data());
      }
      found[k] = at->second;
      if (special(data.types[static_cast<std::size_t>(found[k])])) {
        return fail(Code::malformed, place,
                    "merge %zu \"%.*s\" names the special token %d; text must not become one", i,
                    shown(merge), merge.data(), found[k]);
      }
    }
    definition.merges.push_back({found[0], found[1], found[2]});
  }
  return {};
}

Status check_ids(const TokenizerData& data) {
  const auto check = [&](const char* key, std::int32_t id) -> Status {
    if (id >= 0 && static_cast<std::size_t>(id) < data.tokens.size()) return {};
    return fail(Code::malformed, key, "id %d is not in a vocabulary of %zu tokens", id,
                data.tokens.size());
  };
  if (data.bos) KEDGE_CHECK(check("tokenizer.ggml.bos_token_id", *data.bos));
  if (data.eos) KEDGE_CHECK(check("tokenizer.ggml.eos_token_id", *data.eos));
  if (data.unknown) KEDGE_CHECK(check("tokenizer.ggml.unknown_token_id", *data.unknown));
  if (data.padding) KEDGE_CHECK(check("tokenizer.ggml.padding_token_id", *data.padding));
  for (const std::int32_t end : data.ends) KEDGE_CHECK(check("tokenizer end of turn", end));
  return {};
}

Status read_llama(TokenizerData& data, Definition& definition) {
  definition.name = "llama";
  definition.byte_level = false;
  definition.model = ModelKind::scores;
  if (data.scores.size() != data.tokens.size()) {
    return fail(Code::malformed, "tokenizer.ggml.scores", "%zu scores for %zu tokens",
                data.scores.size(), data.tokens.size());
  }
  definition.scores = std::move(data.scores);
  if (data.add_space_prefix) definition.normalizer.add_prepend("\xE2\x96\x81");
  definition.normalizer.add_replace(" ", "\xE2\x96\x81");
  definition.strip_space = data.add_space_prefix;
  definition.unknown_symbol = data.unknown.value_or(-1);
  definition.fuse_unknown = true;
  return {};
}

}  // namespace

Result<Tokenizer> Tokenizer::create(TokenizerData data) noexcept {
  return guarded("tokenizer", [&]() -> Result<Tokenizer> {
    Definition definition;
    bool family_adds_bos = true;  // of llama
    if (data.model == "gpt2") {
      KEDGE_TRY(const Family* family, Family::find(data.pre));
      KEDGE_CHECK(family->build(definition.normalizer, definition.pre));
      definition.name = data.pre;
      definition.whole_words = family->whole_words;
      family_adds_bos = family->add_bos;
    } else if (data.model != "llama") {
      return fail(Code::unsupported, "tokenizer.ggml.model",
                  "unknown tokenizer model \"%.*s\"; known: gpt2 (byte-level BPE), llama "
                  "(SentencePiece's BPE)",
                  shown(data.model), data.model.c_str());
    }
    KEDGE_TRY(const Ids ids, check_tokens(data));
    KEDGE_CHECK(check_ids(data));
    if (data.model == "gpt2") KEDGE_CHECK(read_merges(data, ids, definition));
    else KEDGE_CHECK(read_llama(data, definition));
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
      const TokenType type = data.types[i];
      if (!special(type) && type != TokenType::user_defined) continue;
      AddedToken added;
      added.content = data.tokens[i];
      added.id = static_cast<std::int32_t>(i);
      added.special = special(type);
      definition.added.push_back(std::move(added));
    }
    definition.bos = data.bos;
    definition.eos = data.eos;
    definition.unknown = data.unknown;
    definition.padding = data.padding;
    definition.ends = std::move(data.ends);
    // The family's habit needs a token to act on; what the file says outright must be possible.
    if (data.add_bos.value_or(family_adds_bos && data.bos)) {
      if (!data.bos) {
        return fail(Code::malformed, "tokenizer.ggml.add_bos_token",
                    "is set, but tokenizer.ggml.bos_token_id is missing");
      }
      definition.prefix = {*data.bos};
    }
    definition.texts = std::move(data.tokens);
    definition.types = std::move(data.types);
    return assemble(std::move(definition));
  });
}

}  // namespace kedge::inline KEDGE_ABI::text
