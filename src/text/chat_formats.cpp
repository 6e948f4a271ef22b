#include "chat_formats.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

constexpr const char* im_start = "<|im_start|>";
constexpr const char* im_end = "<|im_end|>";

Unexpected refuse_role(const char* name, const Message& message, std::size_t i) {
  return fail(Code::invalid_argument, "chat template",
              "\"%s\" has no role \"%.80s\" at message %zu", name, message.role.c_str(), i);
}

void chatml_turn(ChatWriter& writer, std::string_view role, std::string_view content) {
  writer.markup(im_start);
  writer.text(role);
  writer.text("\n");
  writer.text(content);
  writer.markup(im_end);
  writer.text("\n");
}
void chatml_prompt(ChatWriter& writer, bool wanted) {
  if (!wanted) return;
  writer.markup(im_start);
  writer.text("assistant\n");
}

// ChatML with any roles; `system`, if not null, speaks when the first message is not the system's.
Status chatml_with(const char* system, std::span<const Message> messages, bool prompt,
                   ChatWriter& writer) {
  if (system != nullptr && !messages.empty() && messages[0].role != "system")
    chatml_turn(writer, "system", system);
  for (const Message& message : messages) chatml_turn(writer, message.role, message.content);
  chatml_prompt(writer, prompt);
  return {};
}
Status chatml(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  return chatml_with(nullptr, messages, prompt, writer);
}
Status smollm2(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  return chatml_with("You are a helpful AI assistant named SmolLM, trained by Hugging Face",
                     messages, prompt, writer);
}
Status qwen2(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  return chatml_with("You are a helpful assistant.", messages, prompt, writer);
}

// Answers of tools stand in the user's turn; those in a row share one.
void tool_turn(ChatWriter& writer, std::span<const Message> messages, std::size_t i) {
  if (i == 0 || messages[i - 1].role != "tool") {
    writer.markup(im_start);
    writer.text("user");
  }
  writer.text("\n<tool_response>\n");
  writer.text(messages[i].content);
  writer.text("\n</tool_response>");
  if (i + 1 == messages.size() || messages[i + 1].role != "tool") {
    writer.markup(im_end);
    writer.text("\n");
  }
}

Status qwen25(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  if (!messages.empty() && messages[0].role != "system") {
    chatml_turn(writer, "system",
                "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == "tool") tool_turn(writer, messages, i);
    else if (message.role == "user" || message.role == "system" || message.role == "assistant")
      chatml_turn(writer, message.role, message.content);
    else return refuse_role("qwen2.5", message, i);
  }
  chatml_prompt(writer, prompt);
  return {};
}

std::string_view without_first(std::string_view text, char c) {
  while (text.starts_with(c)) text.remove_prefix(1);
  return text;
}
std::string_view without_last(std::string_view text, char c) {
  while (text.ends_with(c)) text.remove_suffix(1);
  return text;
}

// An assistant's message of Qwen 3: thoughts are only shown since the user's last question.
void qwen3_answer(ChatWriter& writer, const Message& message, bool recent, bool last) {
  constexpr std::string_view open = "<think>", close = "</think>";
  std::string_view content = message.content, thoughts;
  if (const std::size_t first = content.find(close); first != std::string_view::npos) {
    thoughts = without_last(content.substr(0, first), '\n');
    if (const std::size_t at = thoughts.rfind(open); at != std::string_view::npos)
      thoughts.remove_prefix(at + open.size());
    thoughts = without_first(thoughts, '\n');
    content = without_first(content.substr(content.rfind(close) + close.size()), '\n');
  }
  writer.markup(im_start);
  writer.text("assistant\n");
  if (recent && (last || !thoughts.empty())) {
    writer.text("<think>\n");
    writer.text(without_last(without_first(thoughts, '\n'), '\n'));
    writer.text("\n</think>\n\n");
    content = without_first(content, '\n');
  }
  writer.text(content);
  writer.markup(im_end);
  writer.text("\n");
}

Status qwen3(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  std::size_t question = messages.empty() ? 0 : messages.size() - 1;
  for (std::size_t i = messages.size(); i > 0; --i) {
    const std::string_view content = messages[i - 1].content;
    if (messages[i - 1].role != "user") continue;
    if (content.starts_with("<tool_response>") && content.ends_with("</tool_response>")) continue;
    question = i - 1;
    break;
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == "user" || message.role == "system")
      chatml_turn(writer, message.role, message.content);
    else if (message.role == "assistant")
      qwen3_answer(writer, message, i > question, i + 1 == messages.size());
    else if (message.role == "tool") tool_turn(writer, messages, i);
    else return refuse_role("qwen3", message, i);
  }
  chatml_prompt(writer, prompt);
  return {};
}
Status qwen3_no_thinking(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  KEDGE_CHECK(qwen3(messages, prompt, writer));
  if (prompt) writer.text("<think>\n\n</think>\n\n");
  return {};
}

// What Python's str.strip() takes away.
bool python_space(std::string_view text, std::size_t length) {
  constexpr std::string_view spaces[] = {
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
      "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
      "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
      "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
  if (text.size() != length) return false;
  if (length == 1) {
    const char c = text[0];
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  }
  for (const std::string_view space : spaces)
    if (text == space) return true;
  return false;
}
std::string_view stripped(std::string_view text) {
  for (bool again = true; again;) {
    again = false;
    for (std::size_t n = 1; n <= 3 && !again; ++n) {
      if (python_space(text.substr(0, n), n)) {
        text.remove_prefix(n);
        again = true;
      } else if (text.size() >= n && python_space(text.substr(text.size() - n), n)) {
        text.remove_suffix(n);
        again = true;
      }
    }
  }
  return text;
}

void llama3_header(ChatWriter& writer, std::string_view role) {
  writer.markup("<|start_header_id|>");
  writer.text(role);
  writer.markup("<|end_header_id|>");
  writer.text("\n\n");
}
Status llama3(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  if (!messages.empty()) writer.markup("<|begin_of_text|>");
  for (const Message& message : messages) {
    llama3_header(writer, message.role);
    writer.text(stripped(message.content));
    writer.markup("<|eot_id|>");
  }
  if (prompt) llama3_header(writer, "assistant");
  return {};
}
// The first version of Llama 3's files: the assistant's turn is always opened.
Status llama3_open(std::span<const Message> messages, bool, ChatWriter& writer) {
  return llama3(messages, true, writer);
}

Status glm4_with(bool newline, std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  writer.markup("[gMASK]");
  writer.markup("<sop>");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role != "system" && message.role != "user" && message.role != "assistant" &&
        message.role != "observation") {
      return refuse_role("glm4", message, i);
    }
    if (message.content.empty()) continue;
    writer.markup("<|" + message.role + "|>");
    writer.text("\n");
    writer.text(message.content);
  }
  if (!prompt) return {};
  writer.markup("<|assistant|>");
  if (newline) writer.text("\n");
  return {};
}
Status glm4(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  return glm4_with(false, messages, prompt, writer);
}
Status glm4_newline(std::span<const Message> messages, bool prompt, ChatWriter& writer) {
  return glm4_with(true, messages, prompt, writer);
}

Status mistral(std::span<const Message> messages, bool, ChatWriter& writer) {
  writer.markup("<s>");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role != (i % 2 == 0 ? "user" : "assistant")) {
      return fail(Code::invalid_argument, "chat template",
                  "\"mistral\" wants user and assistant in turns; message %zu is of \"%.80s\"", i,
                  message.role.c_str());
    }
    if (i % 2 == 0) {
      writer.text("[INST] ");
      writer.text(message.content);
      writer.text(" [/INST]");
    } else {
      writer.text(message.content);
      writer.markup("</s>");
    }
  }
  return {};
}

constexpr ChatFormat formats[] = {
    {"chatml", chatml},   {"smollm2", smollm2},
    {"qwen2", qwen2},     {"qwen2.5", qwen25},
    {"qwen3", qwen3},     {"qwen3-no-thinking", qwen3_no_thinking},
    {"llama3", llama3},   {"llama3-open", llama3_open},
    {"glm4", glm4},       {"glm4-newline", glm4_newline},
    {"mistral", mistral},
};

// Of the texts in public copies of the models' files. Qwen 2's own text was not at hand to hash:
// that format is chosen by name.
constexpr ChatSource sources[] = {
    {"chatml", 196, 0x88BF4138D5C826F0u},   {"smollm2", 368, 0x45EC583D4D25BC3Au},
    {"qwen2.5", 2474, 0x11D394755CEF9355u}, {"qwen3", 4071, 0xABB815B933A4981Au},
    {"llama3", 389, 0x0E60067A5537498Eu},   {"llama3-open", 348, 0x74891E390E614AE2u},
    {"glm4", 668, 0x1A089558CE43413Au},     {"glm4-newline", 669, 0x1108F95E61CDA000u},
    {"mistral", 470, 0x8C734B90B4F8D84Du},
};

}  // namespace

std::span<const ChatFormat> chat_formats() noexcept { return formats; }
std::span<const ChatSource> chat_sources() noexcept { return sources; }

}  // namespace kedge::inline KEDGE_ABI::text
