#include "common/window.hpp"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/failure.hpp"
#include "common/tokens.hpp"
#include "kedge/spec/adaptive.hpp"
#include "kedge/spec/best.hpp"

namespace kedge::tools {

namespace {

constexpr const char* window_option = "--window";
constexpr const char* known_windows =
    "best, all, fixed:N, adaptive[:initial=4,min=1,max=16], "
    "confidence[:threshold=0.5,product=0,min=0,max=31] or recorded:FILE";

// "a=1,b=2" over defaults.
std::map<std::string, double> read_keys(const std::string& name, std::string_view rest,
                                        std::map<std::string, double> values) {
  while (!rest.empty()) {
    const std::string_view given = rest.substr(0, rest.find(','));
    rest = given.size() == rest.size() ? "" : rest.substr(given.size() + 1);
    const std::size_t equals = given.find('=');
    const auto at = values.find(std::string(given.substr(0, equals)));
    const char* const end = given.data() + given.size();
    double value = 0;
    if (at == values.end() || equals == std::string_view::npos ||
        std::from_chars(given.data() + equals + 1, end, value).ptr != end ||
        equals + 1 == given.size())
      bad_usage(window_option, "{}: expected {}; found \"{}\"", name, known_windows, given);
    at->second = value;
  }
  return values;
}

std::int64_t whole(const std::string& name, double value, std::int64_t least, std::int64_t most) {
  const auto number = static_cast<std::int64_t>(value);
  if (static_cast<double>(number) != value || number < least || number > most)
    bad_usage(window_option, "{}: expected a whole number of {} to {}, found {}", name, least, most,
              value);
  return number;
}

window::AnyWindow recorded(const std::string& path) {
  const auto json = nlohmann::json::parse(read_text_file(path), nullptr, false);
  const auto wrong = [&](std::size_t round, const char* expected) {
    fail_with(Code::malformed, path, "draft_lengths, round {}: expected {}", round, expected);
  };
  // The statistics of a run, or the list alone.
  const auto list = json.is_object() ? json.value("draft_lengths", nlohmann::json()) : json;
  if (!list.is_array())
    fail_with(Code::malformed, path,
              "expected the JSON of kedge generate with draft_lengths, or a list of [asked, kept]");
  std::vector<window::Recorded::Length> lengths;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto& one = list[i];
    if (!one.is_array() || one.size() != 2 || !one[0].is_number_unsigned() ||
        !one[1].is_number_unsigned() || one[0] > 31 || one[1] > one[0])
      wrong(i, "[asked, kept] with kept <= asked <= 31");
    lengths.push_back({one[0].get<std::int32_t>(), one[1].get<std::int32_t>()});
  }
  return must(window::AnyWindow::make(must(window::Recorded::create(lengths))));
}

// Passes everything on.
struct Recording {
  window::AnyWindow inner;
  std::shared_ptr<std::vector<window::Recorded::Length>> lengths;

  void begin() {
    lengths->clear();
    inner.begin();
  }
  std::int64_t ask(std::int64_t most, std::int64_t position) { return inner.ask(most, position); }
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) {
    return inner.keep(draft, most);
  }
  void learn(const window::Trial& t) {
    lengths->push_back({static_cast<std::int32_t>(t.asked), static_cast<std::int32_t>(t.kept)});
    inner.learn(t);
  }
  const char* name() const { return inner.name(); }
  window::Choice choice() const { return inner.choice(); }
};

}  // namespace

void WindowOptions::add(CLI::App& app) {
  app.add_option("--window", window, fmt::format("How far to draft: {}", known_windows));
  app.add_option("--verification", verification,
                 "coupled (the plain text, bit for bit), rejection or block (its distribution)");
}

window::AnyWindow WindowOptions::make() const {
  const std::size_t colon = window.find(':');
  const std::string name = window.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : window.substr(colon + 1);
  const bool bare = colon == std::string::npos;
  if ((name == "best" && bare) || window.empty())
    return must(window::AnyWindow::make(window::Best()));
  if (name == "all" && bare) return {};
  if (name == "recorded" && !rest.empty()) return recorded(rest);
  if (name == "fixed") {
    std::int64_t length = -1;
    const char* const end = rest.data() + rest.size();
    if (std::from_chars(rest.data(), end, length).ptr != end || length < 0 || length > 31)
      bad_usage(window_option, "fixed: expected 0 to 31, found \"{}\"", rest);
    return must(window::AnyWindow::make(window::Fixed(length)));
  }
  if (name == "adaptive") {
    auto given = read_keys(name, rest, {{"initial", 4}, {"min", 1}, {"max", 16}});
    window::Adaptive::Options o;
    o.initial = whole(name, given["initial"], 1, 31);
    o.min = whole(name, given["min"], 1, 31);
    o.max = whole(name, given["max"], 1, 31);
    auto made = window::Adaptive::create(o);
    if (!made) bad_usage(window_option, "{}", made.error().reason);
    return must(window::AnyWindow::make(std::move(*made)));
  }
  if (name == "confidence") {
    auto given =
        read_keys(name, rest, {{"threshold", 0.5}, {"product", 0}, {"min", 0}, {"max", 31}});
    window::Confidence::Options o;
    o.threshold = given["threshold"];
    if (!(o.threshold >= 0 && o.threshold <= 1))
      bad_usage(window_option, "confidence: threshold: expected 0 to 1, found {}", o.threshold);
    o.product = whole(name, given["product"], 0, 1) == 1;
    o.min = whole(name, given["min"], 0, 31);
    o.max = whole(name, given["max"], 0, 31);
    return must(window::AnyWindow::make(window::Confidence(o)));
  }
  bad_usage(window_option, "expected {}; found \"{}\"", known_windows, window);
}

Verification WindowOptions::method() const {
  for (const Verification v : {Verification::coupled, Verification::rejection, Verification::block})
    if (verification == to_string(v)) return v;
  bad_usage("--verification", "expected coupled, rejection or block, found \"{}\"", verification);
}

window::AnyWindow WindowOptions::recording(
    std::shared_ptr<std::vector<window::Recorded::Length>> lengths) const {
  return must(window::AnyWindow::make(Recording{make(), std::move(lengths)}));
}

}  // namespace kedge::tools
