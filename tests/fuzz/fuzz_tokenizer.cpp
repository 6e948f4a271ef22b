#include <algorithm>
#include <string>

#include "fuzz/text_entries.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/text/stream_decoder.hpp"

namespace {

using namespace kedge;
using text::Tokenizer;

// The file's own last bytes are a text too: they may name its tokens.
void there_and_back(const Tokenizer& tokenizer, const std::uint8_t* data, std::size_t size) {
  const std::size_t tail = std::min<std::size_t>(size, 200);
  const std::string texts[] = {
      "the anchor  held\r\n 1999's \xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80 <s></s> \xFF\xE2\x82",
      std::string(reinterpret_cast<const char*>(data) + (size - tail), tail)};
  for (const std::string& text : texts) {
    for (const bool special : {false, true}) {
      const auto ids =
          tokenizer.encode(text, {.parse_special = special, .drop_missing_bytes = true});
      if (!ids) continue;
      for (const std::int32_t id : *ids) {
        if (id < 0 || id >= tokenizer.size()) __builtin_trap();
        if (!special && tokenizer.is_special(id) && id != tokenizer.unknown()) __builtin_trap();
      }
      const auto back = tokenizer.decode(*ids);
      auto stream = text::StreamDecoder::create(tokenizer, false, /*begins_text=*/true);
      if (!back || !stream) __builtin_trap();
      std::string streamed;
      for (const std::int32_t id : *ids) streamed += stream->push(id);
      streamed += stream->finish();
      if (streamed != *back) __builtin_trap();
    }
  }
}

}  // namespace

int fuzz_tokenizer(const std::uint8_t* data, std::size_t size) {
  const auto tokenizer = Tokenizer::from_json({reinterpret_cast<const char*>(data), size});
  if (tokenizer) there_and_back(*tokenizer, data, size);
  return 0;
}

int fuzz_tokenizer_gguf(const std::uint8_t* data, std::size_t size) {
  const auto file =
      io::Gguf::open(io::Source::memory({reinterpret_cast<const std::byte*>(data), size}));
  if (!file) return 0;
  const auto tokenizer = Tokenizer::from_gguf(*file);
  if (tokenizer) there_and_back(*tokenizer, data, size);
  return 0;
}
