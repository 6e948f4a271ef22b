// GPT-2's byte-to-unicode alphabet, in which byte-level vocabularies write their tokens: printable
// Latin-1 bytes are themselves, the other 68 are U+0100 and up in the order of the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::text {

// The alphabet's character for a byte, in UTF-8.
std::string byte_level_char(std::uint8_t byte);
// Adds the bytes that `token` stands for; false, and nothing added, when it has a character that is
// not of the alphabet.
bool byte_level_decode(std::string_view token, std::string& bytes);

}  // namespace kedge::inline KEDGE_ABI::text
