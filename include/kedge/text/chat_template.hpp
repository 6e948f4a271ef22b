// Chat templates: messages to text and to tokens. Kedge runs no template language; it recognises
// the templates it knows by their exact text and refuses all others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/core/result.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// A piece of a rendered chat. Markup is the template's own marker, one special token; everything
// else is text that can never become one, whatever a user wrote.
struct Segment {
  std::string text;
  bool is_markup = false;
};

class KEDGE_API ChatTemplate {
 public:
  // From the template's source (GGUF's tokenizer.chat_template). Unknown: an error that lists what
  // is known.
  static Result<ChatTemplate> recognise(std::string_view source) noexcept;
  // By name: "chatml"; "smollm2", "qwen2", "qwen2.5" (ChatML with a system message if the caller
  // gives none); "qwen3", "qwen3-no-thinking"; "llama3", "llama3-open" (always opens the
  // assistant's turn); "glm4", "glm4-newline" (a newline behind the opened turn); "mistral".
  // Tools are not rendered but for their answers (role "tool" of Qwen's).
  static Result<ChatTemplate> named(std::string_view name) noexcept;
  // not_found when the file has no template.
  static Result<ChatTemplate> from_gguf(const io::Gguf& file) noexcept;
  // From a folder's chat_template.jinja or tokenizer_config.json; not_found when it has none.
  static Result<ChatTemplate> from_folder(const char* path) noexcept;

  std::string_view name() const noexcept;

  // Never two text segments in a row. With add_generation_prompt the assistant's turn is opened.
  // Error (invalid_argument): a role, or an order of roles, that the template does not have.
  Result<std::vector<Segment>> render(std::span<const Message> messages,
                                      bool add_generation_prompt) const noexcept;

 private:
  explicit ChatTemplate(int row) noexcept : row_(row) {}
  int row_;
};

// The segments' texts in one string: what the template prints.
Result<std::string> KEDGE_API join(std::span<const Segment> segments) noexcept;

// Renders and encodes. Tokens are those of the whole text with only the markers read as special.
// A marker that the vocabulary does not have is an error that names it.
Result<std::vector<std::int32_t>> KEDGE_API encode_chat(const Tokenizer& tokenizer,
                                                        const ChatTemplate& chat_template,
                                                        std::span<const Message> messages,
                                                        bool add_generation_prompt,
                                                        EncodeOptions options = {}) noexcept;

}  // namespace kedge::inline KEDGE_ABI::text
