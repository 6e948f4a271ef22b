// A tokenizer.json, with the files beside it, becomes a tokenizer.
#include "definition.hpp"
#include "guard.hpp"
#include "json_model.hpp"
#include "json_steps.hpp"
#include "text_file.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

Status read_steps(const JsonReader& root, Definition& definition) {
  bool byte_level = false;
  if (const io::Json* json = root.find("pre_tokenizer"))
    KEDGE_CHECK(read_pre_tokenizer(root.at(*json, "pre_tokenizer"), definition.pre, byte_level));
  definition.byte_level = byte_level;
  if (const io::Json* json = root.find("normalizer"))
    KEDGE_CHECK(read_normalizer(root.at(*json, "normalizer"), definition.normalizer));
  const io::Json* decoder = root.find("decoder");
  if (decoder != nullptr) {
    KEDGE_CHECK(read_decoder(root.at(*decoder, "decoder"), definition));
  } else if (!byte_level) {
    return fail(Code::unsupported, root.file(),
                "decoder: none, for a model that is not byte-level, is not supported");
  }
  return {};
}

// "<s>", or {"content": "<s>", ...}.
Status read_token(const JsonReader& config, const char* member, const JsonIds& ids,
                  std::optional<std::int32_t>& id) {
  const io::Json* json = config.find(member);
  if (json == nullptr) return {};
  const bool object = json->is(io::Json::Type::object);
  const std::string path = config.path_of(member);
  KEDGE_TRY(const std::string_view text, object ? config.at(*json, member).string("content")
                                                : json->string(config.file(), path.c_str()));
  const auto found = ids.find(text);
  if (found == ids.end()) {
    return fail(Code::malformed, config.file(), "%s: \"%.*s\" is not a token", member, shown(text),
                text.data());
  }
  id = found->second;
  return {};
}

Status read_config(const JsonReader& config, const JsonIds& ids, Definition& definition) {
  KEDGE_CHECK(read_token(config, "bos_token", ids, definition.bos));
  KEDGE_CHECK(read_token(config, "eos_token", ids, definition.eos));
  KEDGE_CHECK(read_token(config, "pad_token", ids, definition.padding));
  if (config.find("add_bos_token") == nullptr) return {};
  KEDGE_TRY(const bool add_bos, config.boolean("add_bos_token"));
  if (add_bos && !definition.bos)
    return fail(Code::malformed, config.file(), "add_bos_token is set, but bos_token is missing");
  if (!add_bos) definition.prefix.clear();
  else if (definition.prefix.empty()) definition.prefix = {*definition.bos};
  return {};
}

Status read_generation(const JsonReader& config, Definition& definition) {
  const io::Json* json = config.find("eos_token_id");
  if (json == nullptr) return {};
  const auto add = [&](const io::Json& one) -> Status {
    KEDGE_TRY(const std::int32_t id, config.id(one, "eos_token_id"));
    if (static_cast<std::size_t>(id) >= definition.texts.size()) {
      return fail(Code::malformed, config.file(),
                  "eos_token_id: %d is not in a vocabulary of %zu tokens", id,
                  definition.texts.size());
    }
    definition.ends.push_back(id);
    return {};
  };
  if (!json->is(io::Json::Type::array)) return add(*json);
  for (const io::Json& one : json->items()) KEDGE_CHECK(add(one));
  return {};
}

Result<io::Json> parse(std::string_view text, const char* file) {
  KEDGE_TRY(io::Json json, io::Json::parse(text, file, {}));
  if (!json.is(io::Json::Type::object))
    return fail(Code::malformed, file, "expected an object, found %s", json.type_name());
  return json;
}

Result<Tokenizer> make(std::string_view tokenizer, std::string_view tokenizer_config,
                       std::string_view generation_config) {
  constexpr const char* file = "tokenizer.json";
  KEDGE_TRY(const io::Json json, parse(tokenizer, file));
  const JsonReader root(json, file, "");
  Definition definition;
  definition.name = definition.file = file;
  KEDGE_CHECK(read_steps(root, definition));
  JsonIds ids;
  KEDGE_CHECK(read_model(root, definition, ids));
  if (definition.texts.empty())
    return fail(Code::malformed, file, "model.vocab: there are no tokens");
  if (const io::Json* post = root.find("post_processor"))
    KEDGE_CHECK(read_post_processor(root.at(*post, "post_processor"), definition.prefix));
  for (const std::int32_t id : definition.prefix) {
    if (static_cast<std::size_t>(id) >= definition.texts.size()) {
      return fail(Code::malformed, file, "post_processor: id %d is not in the vocabulary", id);
    }
  }
  if (!tokenizer_config.empty()) {
    KEDGE_TRY(const io::Json config, parse(tokenizer_config, "tokenizer_config.json"));
    KEDGE_CHECK(read_config(JsonReader(config, "tokenizer_config.json", ""), ids, definition));
  } else if (definition.prefix.size() == 1) {
    definition.bos = definition.prefix[0];
  }
  if (!generation_config.empty()) {
    KEDGE_TRY(const io::Json config, parse(generation_config, "generation_config.json"));
    KEDGE_CHECK(read_generation(JsonReader(config, "generation_config.json", ""), definition));
  }
  add_known_ends(definition.texts, definition.types, definition.ends);
  return assemble(std::move(definition));
}

}  // namespace

Result<Tokenizer> Tokenizer::from_json(std::string_view tokenizer,
                                       std::string_view tokenizer_config,
                                       std::string_view generation_config) noexcept {
  return guarded("tokenizer.json",
                 [&] { return make(tokenizer, tokenizer_config, generation_config); });
}

Result<Tokenizer> Tokenizer::from_folder(const char* path) noexcept {
  return guarded("tokenizer.json", [&]() -> Result<Tokenizer> {
    const std::string folder = std::string(path) + "/";
    KEDGE_TRY(const std::string tokenizer, read_text(folder + "tokenizer.json"));
    std::string config, generation;
    KEDGE_CHECK(read_if_there(folder + "tokenizer_config.json", config));
    KEDGE_CHECK(read_if_there(folder + "generation_config.json", generation));
    return make(tokenizer, config, generation);
  });
}

Result<Tokenizer> Tokenizer::from_file(const char* path) noexcept {
  return guarded("tokenizer.json", [&]() -> Result<Tokenizer> {
    KEDGE_TRY(const std::string tokenizer, read_text(path));
    return make(tokenizer, {}, {});
  });
}

}  // namespace kedge::inline KEDGE_ABI::text
