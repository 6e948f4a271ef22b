#include "json_steps.hpp"

#include "family.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

constexpr std::string_view space_mark = "\xE2\x96\x81";

// {"Regex": "..."} or {"String": "..."}.
struct Pattern {
  bool is_regex = false;
  std::string_view text;
};
Result<Pattern> read_pattern(const JsonReader& in) {
  KEDGE_TRY(const io::Json* json, in.need("pattern"));
  const JsonReader pattern = in.at(*json, "pattern");
  if (pattern.find("Regex") != nullptr) {
    KEDGE_TRY(const std::string_view text, pattern.string("Regex"));
    return Pattern{true, text};
  }
  KEDGE_TRY(const std::string_view text, pattern.string("String"));
  return Pattern{false, text};
}

Result<Regex> compile(const JsonReader& in, const Pattern& pattern) {
  const std::string place = std::string(in.file()) + ": " + in.path_of("pattern");
  if (!pattern.is_regex) return Regex::compile(quoted_regex(pattern.text), place.c_str());
  KEDGE_TRY(const std::string expression, from_oniguruma(pattern.text, place.c_str()));
  return Regex::compile(expression, place.c_str());
}

// Calls one(reader) for the parts of a Sequence, or for `in` itself.
template <class One>
Status each_part(const JsonReader& in, const char* parts, One&& one) {
  KEDGE_TRY(const std::string_view type, in.string("type"));
  if (type != "Sequence") return one(in, type);
  KEDGE_TRY(const std::vector<io::Json>* items, in.array(parts));
  for (std::size_t i = 0; i < items->size(); ++i)
    KEDGE_CHECK(each_part(in.at((*items)[i], parts, i), parts, one));
  return {};
}

Status read_split(const JsonReader& in, PreTokenizer& pre) {
  constexpr std::pair<std::string_view, Behavior> behaviors[] = {
      {"Isolated", Behavior::isolated},
      {"Removed", Behavior::removed},
      {"Contiguous", Behavior::contiguous},
      {"MergedWithPrevious", Behavior::merged_with_previous},
      {"MergedWithNext", Behavior::merged_with_next}};
  KEDGE_TRY(const Pattern pattern, read_pattern(in));
  KEDGE_TRY(const std::string_view behavior, in.string("behavior"));
  KEDGE_TRY(const bool invert, in.boolean("invert", false));
  for (const auto& [name, value] : behaviors) {
    if (behavior != name) continue;
    KEDGE_TRY(Regex regex, compile(in, pattern));
    pre.add_split(std::move(regex), value, invert);
    return {};
  }
  return in.unsupported("behavior " + std::string(behavior.substr(0, 80)));
}

Result<Prefix> read_prefix(const JsonReader& in) {
  KEDGE_TRY(const bool prefix_space, in.boolean("add_prefix_space", true));
  if (!prefix_space) return Prefix::never;
  if (in.find("prepend_scheme") == nullptr) return Prefix::always;
  KEDGE_TRY(const std::string_view scheme, in.string("prepend_scheme"));
  if (scheme == "always") return Prefix::always;
  if (scheme == "first") return Prefix::first;
  if (scheme == "never") return Prefix::never;
  return in.unsupported("prepend_scheme " + std::string(scheme.substr(0, 80)));
}

Status read_metaspace(const JsonReader& in, PreTokenizer& pre) {
  KEDGE_TRY(const std::string_view replacement, in.string("replacement"));
  if (replacement != space_mark) return in.unsupported("a replacement other than U+2581");
  KEDGE_TRY(const Prefix prefix, read_prefix(in));
  KEDGE_TRY(const bool split, in.boolean("split", true));
  return pre.add_metaspace(replacement, prefix, split);
}

}  // namespace

Status read_normalizer(const JsonReader& in, Normalizer& normalizer) {
  constexpr std::pair<std::string_view, Form> forms[] = {
      {"NFC", Form::nfc}, {"NFD", Form::nfd}, {"NFKC", Form::nfkc}, {"NFKD", Form::nfkd}};
  return each_part(in, "normalizers", [&](const JsonReader& part, std::string_view type) -> Status {
    for (const auto& [name, form] : forms) {
      if (type != name) continue;
      normalizer.add_form(form);
      return {};
    }
    if (type == "Prepend") {
      KEDGE_TRY(const std::string_view text, part.string("prepend"));
      normalizer.add_prepend(text);
      return {};
    }
    if (type != "Replace") return part.unsupported(type);
    KEDGE_TRY(const Pattern pattern, read_pattern(part));
    KEDGE_TRY(const std::string_view content, part.string("content"));
    if (!pattern.is_regex && !pattern.text.empty()) {
      normalizer.add_replace(pattern.text, content);
      return {};
    }
    KEDGE_TRY(Regex regex, compile(part, pattern));
    normalizer.add_replace(std::move(regex), content);
    return {};
  });
}

Status read_pre_tokenizer(const JsonReader& in, PreTokenizer& pre, bool& byte_level) {
  return each_part(
      in, "pretokenizers", [&](const JsonReader& part, std::string_view type) -> Status {
        // Behind it texts are in GPT-2's alphabet, which no other step works on here.
        if (byte_level) return part.unsupported("a step behind ByteLevel");
        if (type == "Split") return read_split(part, pre);
        if (type == "Metaspace") return read_metaspace(part, pre);
        if (type == "Digits") {
          KEDGE_TRY(const bool individual, part.boolean("individual_digits", false));
          KEDGE_TRY(Regex regex, Regex::compile(individual ? "\\p{N}" : "\\p{N}+", "Digits"));
          pre.add_split(std::move(regex), Behavior::isolated, false);
          return {};
        }
        if (type != "ByteLevel") return part.unsupported(type);
        byte_level = true;
        KEDGE_TRY(const bool prefix, part.boolean("add_prefix_space", true));
        if (prefix) pre.add_prefix_space();
        KEDGE_TRY(const bool use_regex, part.boolean("use_regex", true));
        if (!use_regex) return {};
        KEDGE_TRY(Regex regex, Regex::compile(gpt2_expression, "ByteLevel"));
        pre.add_split(std::move(regex), Behavior::isolated, false);
        return {};
      });
}

Status read_decoder(const JsonReader& in, Definition& definition) {
  definition.marks_space = false;
  return each_part(in, "decoders", [&](const JsonReader& part, std::string_view type) -> Status {
    if (definition.byte_level)
      return type == "ByteLevel" ? Status() : part.unsupported(std::string(type) + " here");
    if (type == "Fuse") return {};
    if (type == "ByteFallback") return {};
    if (type == "Metaspace") {
      KEDGE_TRY(const std::string_view replacement, part.string("replacement"));
      if (replacement != space_mark) return part.unsupported("a replacement other than U+2581");
      KEDGE_TRY(const Prefix prefix, read_prefix(part));
      definition.marks_space = true;
      definition.strip_space = prefix != Prefix::never;
      return {};
    }
    if (type == "Replace") {
      KEDGE_TRY(const Pattern pattern, read_pattern(part));
      KEDGE_TRY(const std::string_view content, part.string("content"));
      if (pattern.is_regex || pattern.text != space_mark || content != " ")
        return part.unsupported("Replace of other than U+2581 by a space");
      definition.marks_space = true;
      return {};
    }
    if (type != "Strip") return part.unsupported(type);
    KEDGE_TRY(const std::string_view content, part.string("content"));
    KEDGE_TRY(const io::Json* start, part.need("start"));
    KEDGE_TRY(const io::Json* stop, part.need("stop"));
    KEDGE_TRY(const std::int32_t before, part.id(*start, "start"));
    KEDGE_TRY(const std::int32_t behind, part.id(*stop, "stop"));
    if (content != " " || before > 1 || behind != 0)
      return part.unsupported("Strip of other than one leading space");
    definition.strip_space = before == 1;
    return {};
  });
}

Status read_post_processor(const JsonReader& in, std::vector<std::int32_t>& prefix) {
  return each_part(in, "processors", [&](const JsonReader& part, std::string_view type) -> Status {
    if (type == "ByteLevel") return {};  // changes offsets only
    if (type != "TemplateProcessing") return part.unsupported(type);
    KEDGE_TRY(const std::vector<io::Json>* single, part.array("single"));
    KEDGE_TRY(const io::Json* tokens, part.need("special_tokens"));
    bool text = false;
    for (std::size_t i = 0; i < single->size(); ++i) {
      const JsonReader piece = part.at((*single)[i], "single", i);
      if (piece.find("Sequence") != nullptr) {
        if (text) return piece.unsupported("a second Sequence");
        text = true;
        continue;
      }
      KEDGE_TRY(const io::Json* special_token, piece.need("SpecialToken"));
      KEDGE_TRY(const std::string_view name, piece.at(*special_token, "SpecialToken").string("id"));
      if (text) return piece.unsupported("a token behind the text");
      const JsonReader known = part.at(*tokens, "special_tokens");
      KEDGE_TRY(const io::Json* entry, known.need(name));
      const JsonReader one = known.at(*entry, name);
      KEDGE_TRY(const std::vector<io::Json>* ids, one.array("ids"));
      for (const io::Json& json : *ids) {
        KEDGE_TRY(const std::int32_t id, one.id(json, "ids"));
        prefix.push_back(id);
      }
    }
    return {};
  });
}

}  // namespace kedge::inline KEDGE_ABI::text
