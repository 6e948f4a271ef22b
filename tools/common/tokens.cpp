#include "common/tokens.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "common/failure.hpp"
#include "common/output.hpp"
#include "kedge/io/gguf.hpp"

namespace kedge::tools {

std::vector<std::int32_t> parse_tokens(std::string_view text, const std::string& place) {
  std::vector<std::int32_t> tokens;
  const char *at = text.data(), *const end = text.data() + text.size();
  while (true) {
    while (at != end && std::strchr(", \t\r\n", *at) != nullptr) ++at;
    if (at == end) break;
    std::int32_t token = 0;
    const auto [next, error] = std::from_chars(at, end, token);
    if (error != std::errc() || (next != end && std::strchr(", \t\r\n", *next) == nullptr) ||
        token < 0)
      bad_usage(place, "entry {}: expected a token number, found \"{}\"", tokens.size() + 1,
                printable(std::string_view(at, static_cast<std::size_t>(end - at)), 12));
    tokens.push_back(token);
    at = next;
  }
  if (tokens.empty()) bad_usage(place, "there are no tokens");
  return tokens;
}

std::string read_text_file(const std::string& path) {
  std::FILE* const opened = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (opened == nullptr)
    fail_with(errno == ENOENT ? Code::not_found : Code::io, path, "{}", std::strerror(errno));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      opened, path == "-" ? [](std::FILE*) { return 0; } : [](std::FILE* f) { return fclose(f); });
  std::string text;
  char part[65536];
  for (std::size_t n; (n = std::fread(part, 1, sizeof part, opened)) > 0;) text.append(part, n);
  if (std::ferror(opened) != 0) fail_with(Code::io, path, "{}", std::strerror(errno));
  return text;
}

text::Tokenizer load_tokenizer(const std::string& path) {
  if (std::filesystem::is_directory(path)) return must(text::Tokenizer::from_folder(path.c_str()));
  if (path.ends_with(".json")) return must(text::Tokenizer::from_file(path.c_str()));
  return must(text::Tokenizer::from_gguf(must(io::Gguf::open(path.c_str()))));
}

}  // namespace kedge::tools
