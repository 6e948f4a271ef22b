#include "kedge/text/chat_template.hpp"

#include "chat_formats.hpp"
#include "guard.hpp"
#include "json_reader.hpp"
#include "text_file.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

std::string known_names() {
  std::string names;
  for (const ChatFormat& format : chat_formats())
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  return names;
}

// Conversions differ in whether a literal's newline is written as \n, and in a last newline.
std::string normal_form(std::string_view source) {
  std::string text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool escaped = source.substr(i, 2) == "\\n";
    text.push_back(escaped ? '\n' : source[i]);
    i += escaped;
  }
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

int row_of(std::string_view name) {
  const std::span<const ChatFormat> formats = chat_formats();
  for (std::size_t i = 0; i < formats.size(); ++i)
    if (name == formats[i].name) return static_cast<int>(i);
  return -1;
}

// A string, or a list of {"name": "default", "template": "..."}.
Result<std::string_view> source_in(const JsonReader& config) {
  const io::Json* json = config.find("chat_template");
  if (json == nullptr) return fail(Code::not_found, config.file(), "there is no chat_template");
  if (!json->is(io::Json::Type::array)) return config.string("chat_template");
  for (std::size_t i = 0; i < json->items().size(); ++i) {
    const JsonReader one = config.at(json->items()[i], "chat_template", i);
    KEDGE_TRY(const std::string_view name, one.string("name"));
    if (name == "default") return one.string("template");
  }
  return fail(Code::unsupported, config.file(), "chat_template: none has the name \"default\"");
}

}  // namespace

Result<ChatTemplate> ChatTemplate::recognise(std::string_view source) noexcept {
  return guarded("chat template", [&]() -> Result<ChatTemplate> {
    const std::string wanted = normal_form(source);
    const std::uint64_t hash = fnv1a(wanted);
    for (const ChatSource& known : chat_sources())
      if (wanted.size() == known.bytes && hash == known.hash)
        return ChatTemplate(row_of(known.name));
    return fail(Code::unsupported, "tokenizer.chat_template",
                "unknown chat template of %zu bytes \"%.60s...\"; known: %s", source.size(),
                wanted.c_str(), known_names().c_str());
  });
}

Result<ChatTemplate> ChatTemplate::named(std::string_view name) noexcept {
  return guarded("chat template", [&]() -> Result<ChatTemplate> {
    if (const int row = row_of(name); row >= 0) return ChatTemplate(row);
    return fail(Code::unsupported, "chat template", "unknown name \"%s\"; known: %s",
                std::string(name.substr(0, 80)).c_str(), known_names().c_str());
  });
}

Result<ChatTemplate> ChatTemplate::from_folder(const char* path) noexcept {
  return guarded("chat template", [&]() -> Result<ChatTemplate> {
    const std::string folder = std::string(path) + "/";
    std::string source;
    KEDGE_CHECK(read_if_there(folder + "chat_template.jinja", source));
    if (!source.empty()) return recognise(source);
    constexpr const char* file = "tokenizer_config.json";
    KEDGE_TRY(const std::string text, read_text(folder + file));
    KEDGE_TRY(const io::Json json, io::Json::parse(text, file, {}));
    KEDGE_TRY(const std::string_view found, source_in(JsonReader(json, file, "")));
    return recognise(found);
  });
}

std::string_view ChatTemplate::name() const noexcept {
  return chat_formats()[static_cast<std::size_t>(row_)].name;
}

Result<std::vector<Segment>> ChatTemplate::render(std::span<const Message> messages,
                                                  bool add_generation_prompt) const noexcept {
  return guarded("chat template", [&]() -> Result<std::vector<Segment>> {
    ChatWriter writer;
    const ChatFormat& format = chat_formats()[static_cast<std::size_t>(row_)];
    KEDGE_CHECK(format.write(messages, add_generation_prompt, writer));
    return writer.take();
  });
}

Result<std::string> join(std::span<const Segment> segments) noexcept {
  return guarded("chat template", [&]() -> Result<std::string> {
    std::string text;
    for (const Segment& segment : segments) text += segment.text;
    return text;
  });
}

Result<std::vector<std::int32_t>> encode_chat(const Tokenizer& tokenizer,
                                              const ChatTemplate& chat_template,
                                              std::span<const Message> messages,
                                              bool add_generation_prompt,
                                              EncodeOptions options) noexcept {
  return guarded("chat template", [&]() -> Result<std::vector<std::int32_t>> {
    KEDGE_TRY(const std::vector<Segment> segments,
              chat_template.render(messages, add_generation_prompt));
    options.parse_special = false;
    std::vector<std::int32_t> ids;
    for (const Segment& segment : segments) {
      if (!segment.is_markup) {
        options.continues = options.continues || &segment != segments.data();
        KEDGE_CHECK(tokenizer.append(segment.text, options, ids));
        continue;
      }
      const std::optional<std::int32_t> id = tokenizer.find_special(segment.text);
      if (!id) {
        return fail(Code::unsupported, "chat template",
                    "\"%s\" needs the special token %s, which the vocabulary does not have",
                    std::string(chat_template.name()).c_str(), segment.text.c_str());
      }
      ids.push_back(*id);
    }
    return ids;
  });
}

}  // namespace kedge::inline KEDGE_ABI::text
