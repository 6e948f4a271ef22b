// Oniguruma's Ruby syntax to PCRE2's. What both read alike is copied; what they read differently is
// written out; the rest is refused by name. Sources: Oniguruma's doc/RE, pcre2pattern(3), and the
// `tokenizers` package, which scripts/verify tokenizers compares with.
#include <array>
#include <cstdio>

#include "kedge/text/utf8.hpp"
#include "regex.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

struct Property {
  const char* name;  // lower case, without spaces, '_' and '-'
  const char* here;  // inside \p{}
};
// General categories are handled by rule. PCRE2 would take a script's name for its extensions.
constexpr Property properties[] = {
    {"letter", "L"},
    {"mark", "M"},
    {"number", "N"},
    {"punctuation", "P"},
    {"symbol", "S"},
    {"separator", "Z"},
    {"decimalnumber", "Nd"},
    {"any", "Any"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"alphabetic", "Alphabetic"},
    {"alpha", "Alphabetic"},
    {"han", "sc:Han"},
    {"hiragana", "sc:Hiragana"},
    {"katakana", "sc:Katakana"},
    {"hangul", "sc:Hangul"},
    {"latin", "sc:Latin"},
    {"cyrillic", "sc:Cyrillic"},
    {"greek", "sc:Greek"},
    {"arabic", "sc:Arabic"},
    {"hebrew", "sc:Hebrew"},
    {"thai", "sc:Thai"},
    {"devanagari", "sc:Devanagari"},
    {"bopomofo", "sc:Bopomofo"},
    {"bengali", "sc:Bengali"},
    {"tamil", "sc:Tamil"},
    {"digit", "Nd"},
};
constexpr const char* categories[] = {"L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",  "Mc", "Me", "Mn",
                                      "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi",
                                      "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp",
                                      "Zs", "C",  "Cc", "Cf", "Cn", "Co", "Cs"};

// Pairs that a single character folds to: Oniguruma finds that character too, PCRE2 does not.
constexpr std::string_view folding_pairs[] = {"ss", "ff", "fi", "fl", "st"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

class Translator {
 public:
  Translator(std::string_view in, const char* place) : in_(in), place_(place) {}

  Result<std::string> run() {
    if (utf8_valid_prefix(in_) != in_.size())
      return fail(Code::malformed, place_, "the expression is not UTF-8");
    while (at_ < in_.size()) KEDGE_CHECK(one());
    return std::move(out_);
  }

 private:
  bool next(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  Unexpected refuse(std::size_t from, const char* what) const {
    const std::string_view shown = in_.substr(from, 12);
    return fail(Code::unsupported, place_, "%s at byte %zu of a regular expression, \"%.*s\"", what,
                from, static_cast<int>(shown.size()), shown.data());
  }
  void code_point(char32_t value) {
    char text[16];
    std::snprintf(text, sizeof text, "\\x{%X}", static_cast<unsigned>(value));
    out_ += text;
  }

  Status one() {
    const char c = in_[at_];
    if (c == '[') {
      last_ = 0;
      KEDGE_CHECK(set());
      return quantifier();
    }
    if (c == '(') return group();
    if (c == '\\') {
      KEDGE_CHECK(escape());
      return quantifier();
    }
    if (c == '*' || c == '+' || c == '?') return refuse(at_, "a quantifier of nothing");
    ++at_;
    if (c == ')') {
      if (depth_ == 0) return refuse(at_ - 1, "a closing parenthesis alone");
      fold_ = folds_[--depth_];
      out_ += c;
      last_ = 0;
      return quantifier();
    }
    if (c == '|') {
      out_ += c;
      last_ = 0;
      return {};
    }
    if (c == '^' || c == '$') {
      // Lines end at \n only, wherever PCRE2 was built to end them.
      out_ += c == '^' ? R"((?:\A|(?<=\n)(?!\z)))" : R"((?=\n|\z))";
      last_ = 0;
      return {};
    }
    if (c == '.') {
      out_ += R"([^\n])";
      last_ = 0;
      return quantifier();
    }
    const Utf8Step step = utf8_step(in_.substr(at_ - 1));
    at_ += step.length - 1u;
    return literal(step.value);
  }

  Status literal(char32_t value) {
    if (fold_ && value >= 0x80) return refuse(at_, "a letter beyond ASCII under (?i)");
    const char c = value < 0x80 ? lower(static_cast<char>(value)) : '\0';
    if (fold_) {
      for (const std::string_view pair : folding_pairs)
        if (last_ == pair[0] && c == pair[1])
          return refuse(at_, "letters that fold to one character under (?i)");
    }
    last_ = c;
    if (value < 0x80 && is_alphanumeric(static_cast<char>(value))) out_ += static_cast<char>(value);
    else code_point(value);
    const std::size_t before = at_;
    KEDGE_CHECK(quantifier());
    if (at_ != before) last_ = 0;
    return {};
  }

  // What may follow an item: ? * + with ? or + behind, {n,m} with ? behind.
  Status quantifier() {
    if (at_ == in_.size()) return {};
    const std::size_t from = at_;
    if (in_[at_] == '*' || in_[at_] == '+' || in_[at_] == '?') {
      out_ += in_[at_++];
      if (next("?") || next("+")) out_ += in_[at_++];
    } else if (in_[at_] == '{') {
      std::size_t i = at_ + 1;
      const std::size_t low = i;
      while (i < in_.size() && is_digit(in_[i])) ++i;
      const std::string_view least = in_.substr(low, i - low);
      const bool comma = i < in_.size() && in_[i] == ',';
      const std::size_t high = i + comma;
      std::size_t end = high;
      while (comma && end < in_.size() && is_digit(in_[end])) ++end;
      const std::string_view most = comma ? in_.substr(high, end - high) : least;
      if (end >= in_.size() || in_[end] != '}' || (least.empty() && most.empty()))
        return refuse(from, "a brace that is no quantifier");
      at_ = end + 1;
      out_ += '{';
      out_ += least.empty() ? std::string_view("0") : least;
      if (comma) out_.append(",").append(most);
      out_ += '}';
      if (next("?")) {
        // Without a comma Ruby's {n}? means (?:{n})?.
        if (!comma) return refuse(at_, "{n}?");
        out_ += in_[at_++];
      }
    } else {
      return {};
    }
    if (next("*") || next("+") || next("?") || next("{"))
      return refuse(at_, "a quantifier of a quantifier");
    return {};
  }

  Status group() {
    const std::size_t from = at_;
    constexpr std::string_view same[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};
    bool fold = fold_;
    bool whole = false;  // (?i) for all that follows
    std::string_view open;
    for (const std::string_view text : same)
      if (next(text)) open = text;
    std::size_t length = open.size();
    if (open.empty()) {
      if (next("(?i:") || next("(?-i:")) {
        fold = next("(?i:");
        open = fold ? "(?i:" : "(?-i:";
        length = open.size();
      } else if (next("(?i)")) {
        if (from != 0) return refuse(from, "(?i) that is not at the beginning");
        fold = whole = true;
        open = "(?i)";
        length = open.size();
      } else if (next("(?")) {
        return refuse(from, "an unknown kind of group");
      } else {
        open = "(?:";  // what is captured is not asked for
        length = 1;
      }
    }
    at_ += length;
    out_ += open;
    last_ = 0;
    if (!whole) {
      if (depth_ == folds_.size()) return refuse(from, "too deep a group");
      folds_[depth_++] = fold_;
    }
    fold_ = fold;
    return {};
  }

  // \p{...}, \P{...}, after the backslash.
  Result<std::string> property() {
    const std::size_t from = at_ - 1;
    bool negated = in_[at_] == 'P';
    ++at_;
    if (!next("{")) return refuse(from, "a property without braces");
    const std::size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) return refuse(from, "a property without an end");
    std::string_view given = in_.substr(at_ + 1, end - at_ - 1);
    if (given.starts_with('^')) {
      negated = !negated;
      given.remove_prefix(1);
    }
    std::string name;
    for (const char c : given)
      if (c != ' ' && c != '_' && c != '-') name += lower(c);
    at_ = end + 1;
    const std::string start = negated ? "\\P{" : "\\p{";
    for (const char* category : categories) {
      std::string small = category;
      for (char& c : small) c = lower(c);
      if (name == small) return start + category + "}";
    }
    for (const Property& known : properties)
      if (name == known.name) return start + known.here + "}";
    return refuse(from, "an unknown property");
  }

  // A character's number behind \x or \u, or a control's name; at_ is behind the backslash.
  Result<char32_t> character() {
    const std::size_t from = at_ - 1;
    const char c = in_[at_++];
    constexpr std::string_view names = "tnrfvae", values = "\t\n\r\f\v\a\x1B";
    if (const std::size_t i = names.find(c); i != std::string_view::npos)
      return static_cast<char32_t>(static_cast<unsigned char>(values[i]));
    if (c == 'x' || c == 'u') {
      const bool braces = c == 'x' && next("{");
      at_ += braces;
      const std::size_t most = braces ? 8 : c == 'x' ? 2 : 4;
      char32_t value = 0;
      std::size_t digits = 0;
      for (; digits < most && at_ < in_.size(); ++digits, ++at_) {
        const char d = lower(in_[at_]);
        if (is_digit(d)) value = value * 16 + static_cast<char32_t>(d - '0');
        else if (d >= 'a' && d <= 'f') value = value * 16 + static_cast<char32_t>(d - 'a' + 10);
        else break;
      }
      // In Ruby's syntax \xHH is a byte; below 0x80 byte and character are the same.
      const bool valid = digits > 0 && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF) &&
                         (c != 'u' || digits == 4) && (c != 'x' || braces || value < 0x80);
      if (!valid || (braces && !next("}"))) return refuse(from, "a character's number");
      at_ += braces;
      return value;
    }
    if (is_alphanumeric(c)) return refuse(from, "an unknown escape");
    const Utf8Step step = utf8_step(in_.substr(at_ - 1));
    at_ += step.length - 1u;
    return step.value;
  }

  Status escape() {
    const std::size_t from = at_++;
    if (at_ == in_.size()) return refuse(from, "a backslash at the end");
    last_ = 0;
    const char* text = nullptr;
    switch (in_[at_]) {
      case 's':
        text = "[" KEDGE_SPACE "]";
        break;
      case 'S':
        text = "[^" KEDGE_SPACE "]";
        break;
      case 'd':
        text = "\\p{Nd}";
        break;
      case 'D':
        text = "\\P{Nd}";
        break;
      case 'w':
        text = "[" KEDGE_WORD "]";
        break;
      case 'W':
        text = "[^" KEDGE_WORD "]";
        break;
      case 'h':
        text = "[0-9A-Fa-f]";
        break;
      case 'H':
        text = "[^0-9A-Fa-f]";
        break;
      case 'b':
        text = "(?:(?<=[" KEDGE_WORD "])(?![" KEDGE_WORD "])|(?<![" KEDGE_WORD "])(?=[" KEDGE_WORD
               "]))";
        break;
      case 'B':
        text = "(?:(?<=[" KEDGE_WORD "])(?=[" KEDGE_WORD "])|(?<![" KEDGE_WORD "])(?![" KEDGE_WORD
               "]))";
        break;
      case 'A':
        text = "\\A";
        break;
      case 'z':
        text = "\\z";
        break;
      case 'Z':
        text = "(?=\\n?\\z)";
        break;
      case 'p':
      case 'P': {
        KEDGE_TRY(const std::string name, property());
        out_ += name;
        return {};
      }
      default:
        break;
    }
    if (text != nullptr) {
      ++at_;
      out_ += text;
      return {};
    }
    KEDGE_TRY(const char32_t value, character());
    return literal(value);
  }

  // [...], a set: its parts between && must all hold.
  Status set() {
    const std::size_t from = at_++;
    const bool negated = next("^");
    at_ += negated;
    std::string parts[4];
    std::size_t count = 0;
    bool first = true;
    KEDGE_CHECK(members(from, parts, count, first));
    ++count;
    for (std::size_t i = 0; i < count; ++i)
      if (parts[i].empty()) return refuse(from, "an empty set");
    if (count == 1) {
      out_ += (negated ? "[^" : "[") + parts[0] + "]";
      return {};
    }
    std::string all;
    for (std::size_t i = 0; i + 1 < count; ++i) all += "(?=[" + parts[i] + "])";
    all += "[" + parts[count - 1] + "]";
    out_ += negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
    return {};
  }

  // The members up to the closing bracket, in PCRE2's way of writing them.
  Status members(std::size_t from, std::string (&parts)[4], std::size_t& part, bool first) {
    for (;; first = false) {
      if (at_ == in_.size()) return refuse(from, "a set without an end");
      if (next("]")) {
        if (first) return refuse(at_, "a set that begins with ]");
        ++at_;
        return {};
      }
      if (next("&&")) {
        if (part + 1 == std::size(parts) || nested_ > 0) return refuse(at_, "&&");
        at_ += 2;
        ++part;
        continue;
      }
      if (next("[:")) return refuse(at_, "a POSIX bracket");
      if (next("[")) {
        const std::size_t inner = at_++;
        if (next("^")) return refuse(inner, "a negated set within a set");
        if (nested_ == 8) return refuse(inner, "too deep a set");
        ++nested_;
        KEDGE_CHECK(members(inner, parts, part, true));
        --nested_;
        continue;
      }
      std::string member;
      KEDGE_TRY(const bool single, one_member(member));
      parts[part] += member;
      if (!single || !next("-")) continue;
      // A range, unless the hyphen is the last member.
      if (in_.substr(at_).starts_with("-]")) continue;
      ++at_;
      std::string last;
      KEDGE_TRY(const bool closes, one_member(last));
      if (!closes) return refuse(at_, "a range that ends with a class");
      parts[part] += "-" + last;
    }
  }

  // One member; whether it is a single character, which may begin a range.
  Result<bool> one_member(std::string& member) {
    if (at_ == in_.size()) return refuse(at_, "a set without an end");
    const std::size_t from = at_;
    char32_t value = 0;
    if (in_[at_] == '\\') {
      if (++at_ == in_.size()) return refuse(from, "a backslash at the end");
      const char c = in_[at_];
      const char* text = c == 's'   ? KEDGE_SPACE
                         : c == 'S' ? "\\S\\x{180E}"  // PCRE2 counts it among spaces
                         : c == 'd' ? "\\p{Nd}"
                         : c == 'D' ? "\\P{Nd}"
                         : c == 'w' ? KEDGE_WORD
                         : c == 'h' ? "0-9A-Fa-f"
                                    : nullptr;
      if (text != nullptr) {
        ++at_;
        member = text;
        return false;
      }
      if (c == 'p' || c == 'P') {
        KEDGE_TRY(member, property());
        return false;
      }
      if (c == 'b') return refuse(from, "\\b in a set");
      KEDGE_TRY(value, character());
    } else {
      const Utf8Step step = utf8_step(in_.substr(at_));
      at_ += step.length;
      value = step.value;
    }
    if (fold_ && value >= 0x80) return refuse(from, "a letter beyond ASCII under (?i)");
    std::string saved;
    saved.swap(out_);
    if (value < 0x80 && is_alphanumeric(static_cast<char>(value))) out_ += static_cast<char>(value);
    else code_point(value);
    member.swap(out_);
    out_.swap(saved);
    return true;
  }

  std::string_view in_;
  const char* place_;
  std::size_t at_ = 0;
  std::string out_;
  bool fold_ = false;             // within (?i: )
  std::array<bool, 64> folds_{};  // of the groups around
  std::size_t depth_ = 0;
  int nested_ = 0;
  char last_ = 0;  // the literal before, in lower case; 0 when it is something else
};

}  // namespace

Result<std::string> from_oniguruma(std::string_view expression, const char* place) {
  return Translator(expression, place).run();
}

}  // namespace kedge::inline KEDGE_ABI::text
