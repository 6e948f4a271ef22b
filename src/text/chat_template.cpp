#include "kedge/text/chat_template.hpp"

#include <iterator>

#include "guard.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

struct Row {
  const char* name;
  const char* source;          // as in the models that use it, newlines in literals unescaped
  const char* default_system;  // what the system says when the first message is not its; or null
};

#define KEDGE_CHATML_MESSAGE \
  "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
#define KEDGE_CHATML_END \
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
#define KEDGE_SMOLLM2_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

constexpr Row rows[] = {
    {"chatml", "{% for message in messages %}" KEDGE_CHATML_MESSAGE KEDGE_CHATML_END, nullptr},
    {"smollm2",
     "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
     "{{ '<|im_start|>system\n" KEDGE_SMOLLM2_SYSTEM
     "<|im_end|>\n' }}{% endif %}" KEDGE_CHATML_MESSAGE KEDGE_CHATML_END,
     KEDGE_SMOLLM2_SYSTEM},
};

#undef KEDGE_CHATML_MESSAGE
#undef KEDGE_CHATML_END
#undef KEDGE_SMOLLM2_SYSTEM

std::string known_names() {
  std::string names;
  for (const Row& row : rows) names += (names.empty() ? "" : ", ") + std::string(row.name);
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

class Writer {
 public:
  void markup(const char* marker) { segments_.push_back({marker, true}); }
  void text(std::string_view text) {
    if (segments_.empty() || segments_.back().is_markup) segments_.push_back({});
    segments_.back().text += text;
  }
  void message(std::string_view role, std::string_view content) {
    markup("<|im_start|>");
    text(role);
    text("\n");
    text(content);
    markup("<|im_end|>");
    text("\n");
  }
  std::vector<Segment> take() { return std::move(segments_); }

 private:
  std::vector<Segment> segments_;
};

}  // namespace

Result<ChatTemplate> ChatTemplate::recognise(std::string_view source) noexcept {
  return guarded("chat template", [&]() -> Result<ChatTemplate> {
    const std::string wanted = normal_form(source);
    for (int i = 0; i < static_cast<int>(std::size(rows)); ++i) {
      if (wanted == rows[i].source) return ChatTemplate(i);
    }
    return fail(Code::unsupported, "tokenizer.chat_template",
                "unknown chat template of %zu bytes \"%.60s...\"; known: %s", source.size(),
                wanted.c_str(), known_names().c_str());
  });
}

Result<ChatTemplate> ChatTemplate::named(std::string_view name) noexcept {
  return guarded("chat template", [&]() -> Result<ChatTemplate> {
    for (int i = 0; i < static_cast<int>(std::size(rows)); ++i) {
      if (name == rows[i].name) return ChatTemplate(i);
    }
    return fail(Code::unsupported, "chat template", "unknown name \"%s\"; known: %s",
                std::string(name.substr(0, 80)).c_str(), known_names().c_str());
  });
}

std::string_view ChatTemplate::name() const noexcept { return rows[row_].name; }

Result<std::vector<Segment>> ChatTemplate::render(std::span<const Message> messages,
                                                  bool add_generation_prompt) const noexcept {
  return guarded("chat template", [&]() -> Result<std::vector<Segment>> {
    Writer writer;
    const char* system = rows[row_].default_system;
    if (system != nullptr && !messages.empty() && messages[0].role != "system") {
      writer.message("system", system);
    }
    for (const Message& message : messages) writer.message(message.role, message.content);
    if (add_generation_prompt) {
      writer.markup("<|im_start|>");
      writer.text("assistant\n");
    }
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
