#include "json_model.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

// Puts the token at its id; a gap in the ids is no token.
Status place_token(const JsonReader& in, std::string_view text, std::int32_t id, std::size_t most,
                   Definition& definition) {
  const auto i = static_cast<std::size_t>(id);
  // Real files have few gaps; a lying one shall not make a vocabulary of billions.
  if (i >= most) {
    return fail(Code::malformed, in.file(), "%s: \"%.*s\" has id %d; expected less than %zu",
                in.path().c_str(), shown(text), text.data(), id, most);
  }
  if (i >= definition.texts.size()) {
    definition.texts.resize(i + 1);
    definition.types.resize(i + 1, TokenType::unused);
  }
  if (definition.types[i] != TokenType::unused) {
    return fail(Code::malformed, in.file(), "%s: \"%.*s\" and \"%.*s\" both have id %d",
                in.path().c_str(), shown(definition.texts[i]), definition.texts[i].c_str(),
                shown(text), text.data(), id);
  }
  definition.texts[i] = text;
  definition.types[i] = TokenType::normal;
  return {};
}

Status read_vocabulary(const JsonReader& in, std::size_t most, Definition& definition,
                       JsonIds& ids) {
  KEDGE_TRY(const io::Json* vocabulary, in.need("vocab"));
  if (!vocabulary->is(io::Json::Type::object)) {
    return fail(Code::malformed, in.file(), "model.vocab: expected an object, found %s",
                vocabulary->type_name());
  }
  const JsonReader reader = in.at(*vocabulary, "vocab");
  for (const auto& [text, value] : vocabulary->members()) {
    KEDGE_TRY(const std::int32_t id, reader.id(value, text));
    if (text.empty()) continue;  // some files have it; no text is ever empty
    KEDGE_CHECK(place_token(reader, text, id, most, definition));
    ids.emplace(text, id);
  }
  return {};
}

// [["text", score], ...]
Status read_scored(const JsonReader& in, Definition& definition, JsonIds& ids) {
  KEDGE_TRY(const std::vector<io::Json>* vocabulary, in.array("vocab"));
  for (std::size_t i = 0; i < vocabulary->size(); ++i) {
    const JsonReader entry = in.at((*vocabulary)[i], "vocab", i);
    const std::vector<io::Json>& pair = (*vocabulary)[i].items();
    if (pair.size() != 2)
      return fail(Code::malformed, in.file(), "%s: expected a pair", entry.path().c_str());
    KEDGE_TRY(const std::string_view text, pair[0].string(in.file(), entry.path().c_str()));
    KEDGE_TRY(const double score, pair[1].number(in.file(), entry.path().c_str()));
    definition.texts.emplace_back(text);
    definition.types.push_back(text.empty() ? TokenType::unused : TokenType::normal);
    definition.scores.push_back(score);
    if (!ids.emplace(text, static_cast<std::int32_t>(i)).second) {
      return fail(Code::malformed, in.file(), "%s: \"%.*s\" is there twice", entry.path().c_str(),
                  shown(text), text.data());
    }
  }
  return {};
}

Status read_merges(const JsonReader& in, Definition& definition, const JsonIds& ids) {
  KEDGE_TRY(const std::vector<io::Json>* merges, in.array("merges"));
  definition.merges.reserve(merges->size());
  std::string joined;
  for (std::size_t i = 0; i < merges->size(); ++i) {
    const io::Json& json = (*merges)[i];
    const JsonReader reader = in.at(json, "merges", i);
    std::string_view parts[3];
    if (json.is(io::Json::Type::array)) {
      if (json.items().size() != 2)
        return fail(Code::malformed, in.file(), "%s: expected a pair", reader.path().c_str());
      for (std::size_t k = 0; k < 2; ++k) {
        KEDGE_TRY(parts[k], json.items()[k].string(in.file(), reader.path().c_str()));
      }
    } else {
      KEDGE_TRY(const std::string_view text, json.string(in.file(), reader.path().c_str()));
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        return fail(Code::malformed, in.file(), "%s: \"%.*s\"; expected one space",
                    reader.path().c_str(), shown(text), text.data());
      }
      parts[0] = text.substr(0, space);
      parts[1] = text.substr(space + 1);
    }
    joined.assign(parts[0]).append(parts[1]);
    parts[2] = joined;
    std::int32_t found[3];
    bool to_special = false;
    for (int k = 0; k < 3; ++k) {
      const auto at = ids.find(parts[k]);
      if (at == ids.end()) {
        return fail(Code::malformed, in.file(), "%s: \"%.*s\" is not a token",
                    reader.path().c_str(), shown(parts[k]), parts[k].data());
      }
      found[k] = at->second;
      to_special = to_special || special(definition.types[static_cast<std::size_t>(found[k])]);
    }
    // Files made from SentencePiece's may have merges into "</s>". Text never becomes that.
    if (!to_special) definition.merges.push_back({found[0], found[1], found[2]});
  }
  return {};
}

Status read_added(const JsonReader& root, std::size_t most, Definition& definition, JsonIds& ids) {
  if (root.find("added_tokens") == nullptr) return {};
  KEDGE_TRY(const std::vector<io::Json>* tokens, root.array("added_tokens"));
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const JsonReader in = root.at((*tokens)[i], "added_tokens", i);
    AddedToken token;
    KEDGE_TRY(const io::Json* number, in.need("id"));
    KEDGE_TRY(token.id, in.id(*number, "id"));
    KEDGE_TRY(const std::string_view content, in.string("content"));
    KEDGE_TRY(token.special, in.boolean("special"));
    KEDGE_TRY(token.normalized, in.boolean("normalized", !token.special));
    KEDGE_TRY(token.single_word, in.boolean("single_word", false));
    KEDGE_TRY(token.lstrip, in.boolean("lstrip", false));
    KEDGE_TRY(token.rstrip, in.boolean("rstrip", false));
    if (content.empty())
      return fail(Code::malformed, in.file(), "%s: expected a text", in.path_of("content").c_str());
    const auto known = ids.find(content);
    if (known == ids.end()) {
      KEDGE_CHECK(place_token(in, content, token.id, most, definition));
      ids.emplace(content, token.id);
    } else if (known->second != token.id) {
      return fail(Code::malformed, in.file(), "%s: \"%.*s\" is token %d of the model, not %d",
                  in.path().c_str(), shown(content), content.data(), known->second, token.id);
    }
    definition.types[static_cast<std::size_t>(token.id)] =
        token.special ? TokenType::control : TokenType::user_defined;
    token.content = content;
    definition.added.push_back(std::move(token));
  }
  return {};
}

// A member that must be absent, or say that nothing is to be done.
Status refuse_unless_empty(const JsonReader& in, std::string_view member) {
  const io::Json* found = in.find(member);
  if (found == nullptr) return {};
  const JsonReader reader = in.at(*found, member);
  if (found->is(io::Json::Type::string)) {
    KEDGE_TRY(const std::string_view text, found->string(in.file(), reader.path().c_str()));
    return text.empty() ? Status() : reader.unsupported(text);
  }
  KEDGE_TRY(const double number, found->number(in.file(), reader.path().c_str()));
  return number == 0 ? Status() : reader.unsupported("a value other than 0");
}

bool is_byte(std::string_view text) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return text.size() == 6 && text.starts_with("<0x") && digit(text[3]) && digit(text[4]) &&
         text[5] == '>';
}

Status read_bpe(const JsonReader& in, std::size_t most, Definition& definition, JsonIds& ids) {
  for (const char* member : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    KEDGE_CHECK(refuse_unless_empty(in, member));
  KEDGE_TRY(definition.whole_words, in.boolean("ignore_merges", false));
  KEDGE_TRY(definition.fuse_unknown, in.boolean("fuse_unk", false));
  return read_vocabulary(in, most, definition, ids);
}

}  // namespace

Status read_model(const JsonReader& root, Definition& definition, JsonIds& ids) {
  KEDGE_TRY(const io::Json* model, root.need("model"));
  const JsonReader in = root.at(*model, "model");
  std::string_view type = "BPE";  // which old files do not say
  if (in.find("type") != nullptr || in.find("merges") == nullptr) {
    KEDGE_TRY(type, in.string("type"));
  }
  if (type != "BPE" && type != "Unigram") return in.unsupported(type);
  const bool unigram = type == "Unigram";
  const io::Json* added = root.find("added_tokens");
  const io::Json* vocabulary = in.find("vocab");
  const std::size_t tokens = (vocabulary == nullptr ? 0 : vocabulary->members().size()) +
                             (vocabulary == nullptr ? 0 : vocabulary->items().size()) +
                             (added == nullptr ? 0 : added->items().size());
  const std::size_t most = 4 * tokens + (std::size_t{1} << 16);
  KEDGE_TRY(const bool byte_fallback, in.boolean("byte_fallback", false));
  if (definition.byte_level && (byte_fallback || unigram))
    return in.unsupported(unigram ? "Unigram with ByteLevel" : "byte_fallback with ByteLevel");
  if (unigram) KEDGE_CHECK(read_scored(in, definition, ids));
  else KEDGE_CHECK(read_bpe(in, most, definition, ids));
  for (std::size_t i = 0; byte_fallback && i < definition.texts.size(); ++i)
    if (is_byte(definition.texts[i])) definition.types[i] = TokenType::byte;
  KEDGE_CHECK(read_added(root, most, definition, ids));
  if (unigram) {
    definition.model = ModelKind::unigram;
    definition.fuse_unknown = true;
    definition.scores.resize(definition.texts.size());  // of added tokens: never used
    if (const io::Json* unknown = in.find("unk_id")) {
      KEDGE_TRY(definition.unknown_symbol, in.id(*unknown, "unk_id"));
    }
  } else {
    KEDGE_CHECK(read_merges(in, definition, ids));
    if (in.find("unk_token") != nullptr) {
      KEDGE_TRY(const std::string_view text, in.string("unk_token"));
      const auto found = ids.find(text);
      if (found == ids.end()) {
        return fail(Code::malformed, in.file(), "model.unk_token: \"%.*s\" is not a token",
                    shown(text), text.data());
      }
      definition.unknown_symbol = found->second;
    }
  }
  if (definition.unknown_symbol >= 0) {
    const auto i = static_cast<std::size_t>(definition.unknown_symbol);
    if (i >= definition.texts.size()) {
      return fail(Code::malformed, in.file(), "model.unk_id: %zu is not in a vocabulary of %zu", i,
                  definition.texts.size());
    }
    definition.unknown = definition.unknown_symbol;
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::text
