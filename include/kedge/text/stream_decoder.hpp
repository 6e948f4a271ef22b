// StreamDecoder: tokens in, complete UTF-8 characters out. A character may be spread over several
// tokens; its first bytes are held back until the rest has come. After create() it allocates
// nothing, so a decode loop may use it.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "kedge/core/result.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {

class KEDGE_API StreamDecoder {
 public:
  // skip_special: special tokens yield nothing instead of their text. begins_text: the first token
  // is the text's first, not what continues a prompt; then a leading space that the tokenizer put
  // there (Tokenizer::strips_space) is dropped, as decode() does.
  static Result<StreamDecoder> create(Tokenizer tokenizer, bool skip_special = false,
                                      bool begins_text = false) noexcept;

  // The characters that this token completes, possibly none. Bytes that cannot be part of any
  // character are passed on as they are; at most 3 bytes are ever held. An id that is out of range
  // adds nothing. The view is good until the next call.
  std::string_view push(std::int32_t id) noexcept;
  // What is still held, complete or not. Afterwards the decoder is as new.
  std::string_view finish() noexcept;
  std::size_t held() const noexcept { return held_; }

 private:
  StreamDecoder(Tokenizer tokenizer, std::unique_ptr<char[]> buffer, bool skip_special,
                bool begins_text) noexcept
      : tokenizer_(std::move(tokenizer)),
        buffer_(std::move(buffer)),
        skip_special_(skip_special),
        strips_(begins_text && tokenizer_.strips_space()),
        at_begin_(strips_) {}

  Tokenizer tokenizer_;
  std::unique_ptr<char[]> buffer_;  // 3 + longest_token() bytes
  std::array<char, 3> carry_{};
  std::uint8_t held_ = 0;
  bool skip_special_;
  bool strips_;    // a text's leading space
  bool at_begin_;  // and nothing has come yet
};

}  // namespace kedge::inline KEDGE_ABI::text
