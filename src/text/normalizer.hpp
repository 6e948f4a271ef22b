// Normalizers: what is done to a text before it is cut. Steps run in order, each over the whole
// piece between two added tokens; bytes that are not UTF-8 stay as they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "regex.hpp"

namespace kedge::inline KEDGE_ABI::text {

enum class Form : std::uint8_t { nfc, nfd, nfkc, nfkd };

class Normalizer {
 public:
  // Unicode's normalization forms, by utf8proc (2.8: Unicode 15). All characters assigned at the
  // time a model was trained normalize alike in every later version.
  void add_form(Form form);
  // `text` before a piece that is not empty.
  void add_prepend(std::string_view text);
  void add_replace(std::string_view from, std::string_view to);  // `from` is not empty
  void add_replace(Regex from, std::string_view to);

  bool empty() const noexcept { return steps_.empty(); }
  // The normalized text, in `text` itself.
  Status apply(std::string& text) const;

 private:
  enum class Kind : std::uint8_t { form, prepend, replace_text, replace_regex };
  struct Step {
    Kind kind{};
    Form form = Form::nfc;
    std::string from, to;
    Regex regex;
  };
  std::vector<Step> steps_;
};

}  // namespace kedge::inline KEDGE_ABI::text
