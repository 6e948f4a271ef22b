// Rules of a constraint that let through what has the shape of JSON, one value or several that are
// separated by line ends: objects and arrays up to 64 deep, strings of printable ASCII with
// escapes, numbers, no space between tokens. A state is one machine over bytes: the kinds of the
// open brackets in one word, where it stands in the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kedge/sample/constraint.hpp"

namespace kedge::tests {

class JsonShape {
 public:
  // The bytes of every token.
  explicit JsonShape(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}

  ConstraintState start() const noexcept { return pack({}); }
  void mask(const ConstraintState& state, std::span<std::uint32_t> words) const noexcept {
    for (std::size_t t = 0; t < tokens_.size(); ++t)
      if (allows(state, static_cast<std::int32_t>(t))) words[t / 32] |= 1u << t % 32;
  }
  bool allows(const ConstraintState& state, std::int32_t token) const noexcept {
    return after(state, token).has_value();
  }
  ConstraintState advance(const ConstraintState& state, std::int32_t token) const noexcept {
    return after(state, token).value_or(state);
  }
  bool accepts_end(const ConstraintState& state) const noexcept { return ends(unpack(state)); }

 private:
  enum Mode : std::uint8_t {
    value,
    first_value,
    string,
    escape,
    hex,
    number_sign,
    zero,
    digits,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    literal,
    behind,
    first_key,
    key,
    colon,
  };
  struct State {
    std::uint64_t objects = 0;  // bit d: the bracket at depth d is of an object
    std::uint8_t mode = value, depth = 0;
    std::uint8_t word = 0, at = 0;  // of a literal; `at` also counts hex digits
    bool is_key = false;            // the string is one
  };

  static ConstraintState pack(const State& s) noexcept {
    return {{s.objects, std::uint64_t{s.mode} | std::uint64_t{s.depth} << 8 |
                            std::uint64_t{s.word} << 16 | std::uint64_t{s.at} << 24 |
                            std::uint64_t{s.is_key} << 32}};
  }
  static State unpack(const ConstraintState& c) noexcept {
    const std::uint64_t w = c.word[1];
    return {c.word[0],
            static_cast<std::uint8_t>(w),
            static_cast<std::uint8_t>(w >> 8),
            static_cast<std::uint8_t>(w >> 16),
            static_cast<std::uint8_t>(w >> 24),
            (w >> 32 & 1) != 0};
  }
  static bool number_may_end(std::uint8_t mode) noexcept {
    return mode == zero || mode == digits || mode == fraction || mode == exponent_digits;
  }
  static bool ends(const State& s) noexcept {
    return s.depth == 0 && (s.mode == behind || number_may_end(s.mode));
  }

  std::optional<ConstraintState> after(const ConstraintState& state,
                                       std::int32_t token) const noexcept {
    const std::string& bytes = tokens_[static_cast<std::size_t>(token)];
    if (bytes.empty()) return {};
    State s = unpack(state);
    for (const char c : bytes)
      if (!step(s, c)) return {};
    return pack(s);
  }

  static bool open(State& s, bool object) noexcept {
    if (s.depth == 64) return false;
    s.objects = (s.objects & ~(std::uint64_t{1} << s.depth)) | std::uint64_t{object} << s.depth;
    ++s.depth;
    s.mode = object ? first_key : first_value;
    return true;
  }
  static bool in_object(const State& s) noexcept {
    return s.depth > 0 && (s.objects >> (s.depth - 1) & 1) != 0;
  }
  static bool close(State& s, bool object) noexcept {
    if (s.depth == 0 || in_object(s) != object) return false;
    --s.depth;
    s.objects &= ~(std::uint64_t{1} << s.depth);
    s.mode = behind;
    return true;
  }
  static bool quote(State& s, bool is_key) noexcept {
    s.mode = string;
    s.is_key = is_key;
    return true;
  }
  static bool go(State& s, Mode mode) noexcept {
    s.mode = mode;
    return true;
  }
  static bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
  static bool begin_value(State& s, char c) noexcept {
    static constexpr std::string_view firsts = "tfn";
    if (c == '{') return open(s, true);
    if (c == '[') return open(s, false);
    if (c == '"') return quote(s, false);
    if (c == '-') return go(s, number_sign);
    if (c == '0') return go(s, zero);
    if (digit(c)) return go(s, digits);
    const std::size_t word = firsts.find(c);
    if (word == std::string_view::npos) return false;
    s.word = static_cast<std::uint8_t>(word);
    s.at = 1;
    return go(s, literal);
  }
  static bool step(State& s, char c) noexcept {
    static constexpr std::string_view words[] = {"true", "false", "null"};
    if (number_may_end(s.mode) && (c == ',' || c == ']' || c == '}' || c == '\n')) s.mode = behind;
    switch (s.mode) {
      case first_value:
        if (c == ']') return close(s, false);
        return begin_value(s, c);
      case value:
        return begin_value(s, c);
      case string:
        if (c == '"') return s.is_key ? go(s, colon) : go(s, behind);
        if (c == '\\') return go(s, escape);
        return c >= ' ' && c <= '~';
      case escape:
        s.at = 0;
        if (c == 'u') return go(s, hex);
        return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos && go(s, string);
      case hex:
        if (!digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) return false;
        if (++s.at == 4) s.mode = string;
        return true;
      case number_sign:
        return c == '0' ? go(s, zero) : digit(c) && go(s, digits);
      case digits:
        if (digit(c)) return true;
        [[fallthrough]];
      case zero:
        if (c == '.') return go(s, point);
        return (c == 'e' || c == 'E') && go(s, exponent);
      case point:
        return digit(c) && go(s, fraction);
      case fraction:
        return digit(c) || ((c == 'e' || c == 'E') && go(s, exponent));
      case exponent:
        if (c == '+' || c == '-') return go(s, exponent_sign);
        [[fallthrough]];
      case exponent_sign:
        return digit(c) && go(s, exponent_digits);
      case exponent_digits:
        return digit(c);
      case literal:
        if (c != words[s.word][s.at]) return false;
        if (++s.at == words[s.word].size()) s.mode = behind;
        return true;
      case behind:
        if (c == '\n' && s.depth == 0) return go(s, value);
        if (c == ',' && s.depth > 0) return in_object(s) ? go(s, key) : go(s, value);
        if (c == '}') return close(s, true);
        return c == ']' && close(s, false);
      case first_key:
        if (c == '}') return close(s, true);
        [[fallthrough]];
      case key:
        return c == '"' && quote(s, true);
      case colon:
        return c == ':' && go(s, value);
      default:
        return false;
    }
  }

  std::vector<std::string> tokens_;
};

}  // namespace kedge::tests
