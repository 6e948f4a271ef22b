#include "io/json.hpp"

#include <cinttypes>
#include <cstdio>

#include "io/shown.hpp"

namespace kedge::inline KEDGE_ABI::io {

const char* Json::type_name() const noexcept {
  constexpr const char* names[] = {"null",     "a boolean", "an integer", "a real number",
                                   "a string", "an array",  "an object"};
  return names[static_cast<unsigned>(type_)];
}

const Json* Json::find(std::string_view name) const noexcept {
  for (const Member& member : members_)
    if (member.first == name) return &member.second;
  return nullptr;
}

Result<std::uint64_t> Json::uint(const char* place, const char* what) const noexcept {
  if (type_ != Type::integer)
    return fail(Code::malformed, place, "%s: expected an integer, found %s", what, type_name());
  if (negative_)
    return fail(Code::malformed, place, "%s: expected 0 or more, found %" PRId64, what,
                static_cast<std::int64_t>(number_));
  return number_;
}

Result<double> Json::number(const char* place, const char* what) const noexcept {
  if (type_ == Type::real) return real_;
  if (type_ != Type::integer)
    return fail(Code::malformed, place, "%s: expected a number, found %s", what, type_name());
  return negative_ ? static_cast<double>(static_cast<std::int64_t>(number_))
                   : static_cast<double>(number_);
}

Result<bool> Json::boolean(const char* place, const char* what) const noexcept {
  if (type_ != Type::boolean)
    return fail(Code::malformed, place, "%s: expected true or false, found %s", what, type_name());
  return number_ != 0;
}

Result<std::string_view> Json::string(const char* place, const char* what) const noexcept {
  if (type_ != Type::string)
    return fail(Code::malformed, place, "%s: expected a string, found %s", what, type_name());
  return std::string_view(text_);
}

namespace {

// Bytes of the UTF-8 sequence that starts `text`, 0 when it is none: cut short, overlong, a
// surrogate or beyond U+10FFFF.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80             ? 1
                             : (lead & 0xE0) == 0xC0 ? 2
                             : (lead & 0xF0) == 0xE0 ? 3
                             : (lead & 0xF8) == 0xF0 ? 4
                                                     : 0;
  if (length == 0 || length > text.size()) return 0;
  unsigned code = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return code < least[length] || surrogate || code > 0x10FFFF ? 0 : length;
}

}  // namespace

Result<std::string> json_quoted(std::string_view text, const char* place) {
  std::string quoted = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0)
      return fail(Code::invalid_argument, place, "'%s' is not UTF-8 at byte %zu",
                  Shown(text).text(), i);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      quoted += '\\';
      quoted += text[i];
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned{byte});
      quoted += escape;
    } else {
      quoted.append(text, i, length);
    }
    i += length;
  }
  quoted += '"';
  return quoted;
}

}  // namespace kedge::inline KEDGE_ABI::io
