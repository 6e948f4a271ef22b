#include "text_file.hpp"

#include "io/json.hpp"
#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::text {

Result<std::string> read_text(const std::string& path) {
  io::Source::Options options;
  options.map = false;
  KEDGE_TRY(const io::Source source, io::Source::open(path.c_str(), options));
  if (source.size() > io::Json::Limits{}.bytes) {
    return fail(Code::malformed, path.c_str(), "expected at most %zu bytes, found %llu",
                io::Json::Limits{}.bytes, static_cast<unsigned long long>(source.size()));
  }
  std::string text(static_cast<std::size_t>(source.size()), '\0');
  KEDGE_CHECK(source.read(0, std::as_writable_bytes(std::span(text.data(), text.size()))));
  return text;
}

Status read_if_there(const std::string& path, std::string& text) {
  Result<std::string> read = read_text(path);
  if (read) text = *std::move(read);
  else if (read.error().code != Code::not_found) return unexpected(read.error());
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::text
