// UTF-8 as the Unicode Standard's table 3-7 defines it: no overlong forms, no surrogates, nothing
// above U+10FFFF. Everything else is "invalid bytes", which Kedge carries along and never alters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::text {

struct Utf8Step {
  enum class Kind : std::uint8_t {
    character,  // `length` bytes are one character
    truncated,  // all `length` bytes begin a character whose rest is missing
    invalid,    // the first byte starts nothing; length is 1
  };
  Kind kind = Kind::invalid;
  std::uint8_t length = 1;
  char32_t value = 0;  // the code point of a character
};

// What `bytes` (not empty) starts with.
constexpr Utf8Step utf8_step(std::string_view bytes) noexcept {
  using Kind = Utf8Step::Kind;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return {Kind::character, 1, static_cast<char32_t>(lead)};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::uint8_t need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // Only the second byte has bounds of its own: they keep out overlong forms and surrogates.
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t value = lead & (0x7Fu >> need);
  for (std::uint8_t i = 1; i < need; ++i) {
    if (i >= bytes.size()) return {Kind::truncated, i, 0};
    const unsigned byte = at(i);
    if (byte < (i == 1 ? low : 0x80) || byte > (i == 1 ? high : 0xBF)) return {};
    value = (value << 6) | (byte & 0x3F);
  }
  return {Kind::character, need, value};
}

// Length of the longest prefix that is valid UTF-8.
constexpr std::size_t utf8_valid_prefix(std::string_view bytes) noexcept {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const Utf8Step step = utf8_step(bytes.substr(done));
    if (step.kind != Utf8Step::Kind::character) break;
    done += step.length;
  }
  return done;
}

// Length of `bytes` without the 0 to 3 last ones that begin a character which more bytes could
// still complete. Invalid bytes count as complete: nothing that follows can mend them.
constexpr std::size_t utf8_complete_prefix(std::string_view bytes) noexcept {
  for (std::size_t tail = 1; tail <= 3 && tail <= bytes.size(); ++tail) {
    const Utf8Step step = utf8_step(bytes.substr(bytes.size() - tail));
    if (step.kind == Utf8Step::Kind::truncated) return bytes.size() - tail;
  }
  return bytes.size();
}

}  // namespace kedge::inline KEDGE_ABI::text
