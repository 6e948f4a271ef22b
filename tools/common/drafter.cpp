#include "common/drafter.hpp"

#include <charconv>
#include <string_view>

#include "common/failure.hpp"
#include "kedge/draft/lookup.hpp"

namespace kedge::tools {

CLI::Option* add_draft(CLI::App& app, std::string& text) {
  return app.add_option("--draft", text,
                        "Drafter: none, auto, or lookup[:n=8,min=2] (copies what followed the same "
                        "tokens before; n tokens at most, matches of at least min)");
}

DraftChoice parse_draft(const std::string& text) {
  DraftChoice choice;
  if (text == "none") return choice;
  choice.drafts = true;
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  if (name == "auto" && colon == std::string::npos) return choice;
  if (name != "lookup")
    bad_usage("--draft", "expected none, auto or lookup[:n=8,min=2], found \"{}\"", text);
  std::string_view rest =
      colon == std::string::npos ? "" : std::string_view(text).substr(colon + 1);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    const std::size_t equals = item.find('=');
    const std::string_view key = item.substr(0, equals);
    std::int64_t* const value = key == "n"     ? &choice.length
                                : key == "min" ? &choice.min_match
                                               : nullptr;
    const std::int64_t most = key == "n" ? 31 : 1024;
    const char* const end = item.data() + item.size();
    std::int64_t number = 0;
    if (value == nullptr || equals == std::string_view::npos ||
        std::from_chars(item.data() + equals + 1, end, number).ptr != end || number < 1 ||
        number > most)
      bad_usage("--draft", "lookup takes n=1..31 and min=1..1024, found \"{}\"", item);
    *value = number;
  }
  return choice;
}

std::string DraftChoice::text() const {
  return drafts ? fmt::format("lookup:n={},min={}", length, min_match) : "none";
}

draft::AnyDrafter DraftChoice::make(std::int64_t capacity) const {
  if (!drafts) return {};
  draft::Lookup::Options options;
  options.length = length;
  options.min_match = min_match;
  options.capacity = capacity;
  return must(draft::AnyDrafter::make(must(draft::Lookup::create(options))));
}

}  // namespace kedge::tools
