#include "normalizer.hpp"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

struct Free {
  void operator()(utf8proc_uint8_t* memory) const noexcept { std::free(memory); }
};

utf8proc_option_t options_of(Form form) {
  const int compatible = form == Form::nfkc || form == Form::nfkd ? UTF8PROC_COMPAT : 0;
  const int composed =
      form == Form::nfc || form == Form::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | compatible | composed);
}

bool ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

Status add_normalized(std::string_view text, Form form, std::string& out) {
  if (ascii(text)) {  // no form changes it
    out += text;
    return {};
  }
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result, options_of(form));
  const std::unique_ptr<utf8proc_uint8_t, Free> owned(result);
  if (size == UTF8PROC_ERROR_NOMEM)
    return fail(Code::out_of_memory, "tokenizer", "no memory to normalize a text");
  if (size < 0)
    return fail(Code::unsupported, "tokenizer", "normalizing: %s", utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
  return {};
}

// Runs that are UTF-8 go through `valid(run) -> Status`; other bytes are copied to `out`.
template <class Valid>
Status by_runs(std::string_view text, std::string& out, Valid&& valid) {
  while (!text.empty()) {
    const std::size_t length = utf8_valid_prefix(text);
    if (length > 0) KEDGE_CHECK(valid(text.substr(0, length)));
    text.remove_prefix(length);
    if (text.empty()) break;
    out += text[0];
    text.remove_prefix(1);
  }
  return {};
}

}  // namespace

void Normalizer::add_form(Form form) {
  Step step;
  step.kind = Kind::form;
  step.form = form;
  steps_.push_back(std::move(step));
}
void Normalizer::add_prepend(std::string_view text) {
  Step step;
  step.kind = Kind::prepend;
  step.to = text;
  steps_.push_back(std::move(step));
}
void Normalizer::add_replace(std::string_view from, std::string_view to) {
  Step step;
  step.kind = Kind::replace_text;
  step.from = from;
  step.to = to;
  steps_.push_back(std::move(step));
}
void Normalizer::add_replace(Regex from, std::string_view to) {
  Step step;
  step.kind = Kind::replace_regex;
  step.regex = std::move(from);
  step.to = to;
  steps_.push_back(std::move(step));
}

Status Normalizer::apply(std::string& text) const {
  std::string out;
  for (const Step& step : steps_) {
    if (text.empty()) return {};
    out.clear();
    switch (step.kind) {
      case Kind::form:
        KEDGE_CHECK(by_runs(
            text, out, [&](std::string_view run) { return add_normalized(run, step.form, out); }));
        break;
      case Kind::prepend:
        out.append(step.to).append(text);
        break;
      case Kind::replace_text:
        for (std::size_t i = 0; i < text.size();) {
          const std::size_t found = std::min(text.find(step.from, i), text.size());
          out.append(text, i, found - i);
          if (found < text.size()) out += step.to;
          i = found + step.from.size();
        }
        break;
      case Kind::replace_regex: {
        KEDGE_TRY(Matcher matcher, Matcher::create());
        const auto replace = [&](std::string_view run) -> Status {
          std::size_t done = 0;
          const auto one = [&](std::size_t begin, std::size_t end) {
            out.append(run, done, begin - done).append(step.to);
            done = end;
            return Status();
          };
          KEDGE_CHECK(each_match(matcher, step.regex, run, one));
          out.append(run, done);
          return {};
        };
        KEDGE_CHECK(by_runs(text, out, replace));
        break;
      }
    }
    text.swap(out);
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::text
