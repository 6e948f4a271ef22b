#include "kedge/text/stream_decoder.hpp"

#include <cstring>

#include "guard.hpp"
#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {

Result<StreamDecoder> StreamDecoder::create(Tokenizer tokenizer, bool skip_special,
                                            bool begins_text) noexcept {
  return guarded("stream decoder", [&]() -> Result<StreamDecoder> {
    auto buffer = std::make_unique<char[]>(3 + tokenizer.longest_token());
    return StreamDecoder(std::move(tokenizer), std::move(buffer), skip_special, begins_text);
  });
}

std::string_view StreamDecoder::push(std::int32_t id) noexcept {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  std::string_view bytes = tokenizer_.token_bytes(id);
  if (bytes.empty()) return {};
  if (at_begin_ && bytes[0] == ' ') bytes.remove_prefix(1);
  at_begin_ = false;
  std::memcpy(buffer_.get(), carry_.data(), held_);
  std::memcpy(buffer_.get() + held_, bytes.data(), bytes.size());
  const std::string_view all(buffer_.get(), held_ + bytes.size());
  const std::size_t complete = utf8_complete_prefix(all);
  held_ = static_cast<std::uint8_t>(all.size() - complete);
  std::memcpy(carry_.data(), all.data() + complete, held_);
  return all.substr(0, complete);
}

std::string_view StreamDecoder::finish() noexcept {
  std::memcpy(buffer_.get(), carry_.data(), held_);
  const std::string_view rest(buffer_.get(), held_);
  held_ = 0;
  at_begin_ = strips_;
  return rest;
}

}  // namespace kedge::inline KEDGE_ABI::text
