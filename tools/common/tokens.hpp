// Prompts given as numbers, and what makes numbers of texts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/text/tokenizer.hpp"

namespace kedge::tools {

// "1,2,3", or one integer per line, or both; `place` (the option or file) appears in the errors.
std::vector<std::int32_t> parse_tokens(std::string_view text, const std::string& place);

// The whole file, or stdin for "-".
std::string read_text_file(const std::string& path);

// Of a GGUF file, a folder with tokenizer.json, or such a file.
text::Tokenizer load_tokenizer(const std::string& path);

}  // namespace kedge::tools
