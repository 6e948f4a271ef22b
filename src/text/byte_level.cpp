#include "byte_level.hpp"

#include <array>

#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::uint16_t, 256> code{};
  std::array<std::int16_t, 256 + 68> byte{};
};
constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const unsigned code = stands_for_itself(byte) ? byte : next++;
    alphabet.code[byte] = static_cast<std::uint16_t>(code);
    alphabet.byte[code] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}
constexpr Alphabet alphabet = make_alphabet();

}  // namespace

std::string byte_level_char(std::uint8_t byte) {
  const unsigned code = alphabet.code[byte];
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

bool byte_level_decode(std::string_view token, std::string& bytes) {
  const std::size_t before = bytes.size();
  while (!token.empty()) {
    const Utf8Step step = utf8_step(token);
    if (step.kind != Utf8Step::Kind::character || step.value >= alphabet.byte.size() ||
        alphabet.byte[step.value] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(alphabet.byte[step.value]));
    token.remove_prefix(step.length);
  }
  return true;
}

}  // namespace kedge::inline KEDGE_ABI::text
