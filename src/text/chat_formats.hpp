// The chat templates that are known, as code. Private to the text component.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kedge/text/chat_template.hpp"

namespace kedge::inline KEDGE_ABI::text {

// Collects a chat's segments: texts join, markers stand alone.
class ChatWriter {
 public:
  void markup(std::string_view marker) { segments_.push_back({std::string(marker), true}); }
  void text(std::string_view text) {
    if (text.empty()) return;
    if (segments_.empty() || segments_.back().is_markup) segments_.push_back({});
    segments_.back().text += text;
  }
  std::vector<Segment> take() { return std::move(segments_); }

 private:
  std::vector<Segment> segments_;
};

struct ChatFormat {
  const char* name;
  Status (*write)(std::span<const Message> messages, bool add_generation_prompt,
                  ChatWriter& writer);
};
std::span<const ChatFormat> chat_formats() noexcept;

// What a file's template text is compared with: its length and 64-bit FNV-1a hash, newlines in
// literals unescaped and those at the end taken away.
struct ChatSource {
  const char* name;  // of the format
  std::size_t bytes;
  std::uint64_t hash;
};
std::span<const ChatSource> chat_sources() noexcept;

}  // namespace kedge::inline KEDGE_ABI::text
