#include "common/drafter.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "common/drafters/kinds.hpp"
#include "common/failure.hpp"
#include "kedge/draft/chain.hpp"
#include "kedge/draft/extended.hpp"

namespace kedge::tools {

namespace {

constexpr const char* option = "--draft";
constexpr const char* automatic = "lookup";  // what auto stands for

std::string known_kinds() {
  std::string names;
  for (const DraftKind* kind : draft_kinds)
    names += (names.empty() ? "" : ", ") + std::string(kind->name);
  return names;
}

std::string bounds(const DraftKey& key) {
  return key.most > 0 ? fmt::format("{}..{}", key.least, key.most) : "TEXT";
}

std::string known_keys(const DraftKind& kind) {
  std::string keys;
  for (const DraftKey& key : kind.keys) keys += fmt::format("{}={}, ", key.name, bounds(key));
  return keys + "extend=KIND";
}

const DraftKind* find_kind(std::string_view name) {
  for (const DraftKind* kind : draft_kinds)
    if (name == kind->name) return kind;
  return nullptr;
}

// Where the next item begins: behind a '+' that is followed by a word and the end, ':' or '+'.
// Other ones belong to a value, as in a path.
std::size_t item_end(const std::string& text, std::size_t from) {
  for (std::size_t plus = text.find('+', from); plus != std::string::npos;
       plus = text.find('+', plus + 1)) {
    const std::size_t after =
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", plus + 1);
    if (after == std::string::npos || text[after] == ':' || text[after] == '+') return plus;
  }
  return text.size();
}

draft::AnyDrafter chain(std::vector<draft::AnyDrafter> members) {
  if (members.size() == 1) return std::move(members.front());
  return must(draft::AnyDrafter::make(must(draft::Chain::create(members))));
}

}  // namespace

const std::string& DraftValues::text(const char* key) const {
  for (const auto& [name, value] : values_)
    if (name == key) return value;
  throw Failure(1, "internal", option, fmt::format("no value for the key {}", key));
}

std::int64_t DraftValues::number(const char* key) const {
  const std::string& value = text(key);
  std::int64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

DraftItem DraftItem::parse(const std::string& text) {
  DraftItem item;
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  item.kind = find_kind(name);
  if (item.kind == nullptr)
    bad_usage(option, "expected none, auto or one of {}; found \"{}\"", known_kinds(), name);
  std::string_view rest =
      colon == std::string::npos ? "" : std::string_view(text).substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view given = rest.substr(0, rest.find(','));
    rest = given.size() == rest.size() ? "" : rest.substr(given.size() + 1);
    const std::size_t equals = given.find('=');
    const std::string_view key = given.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : given.substr(equals + 1));
    if (key == "extend") {
      if (!item.extend.empty()) bad_usage(option, "{}: extend is given twice", name);
      item.extend.push_back(parse(value));
      continue;
    }
    const auto known = std::find_if(item.kind->keys.begin(), item.kind->keys.end(),
                                    [&](const DraftKey& k) { return key == k.name; });
    bool good = known != item.kind->keys.end() && !value.empty();
    if (good && known->most > 0) {
      std::int64_t number = 0;
      const char* const end = value.data() + value.size();
      const auto [next, error] = std::from_chars(value.data(), end, number);
      good = error == std::errc() && next == end && number >= known->least && number <= known->most;
    }
    if (!good) bad_usage(option, "{} takes {}; found \"{}\"", name, known_keys(*item.kind), given);
    for (const auto& [before, unused] : item.values.values_)
      if (before == key) bad_usage(option, "{}: {} is given twice", name, key);
    item.values.values_.emplace_back(key, value);
  }
  for (const DraftKey& key : item.kind->keys) {
    const auto given = std::find_if(item.values.values_.begin(), item.values.values_.end(),
                                    [&](const auto& v) { return v.first == key.name; });
    if (given != item.values.values_.end()) continue;
    if (key.fallback == nullptr) bad_usage(option, "{} needs {}=...", name, key.name);
    item.values.values_.emplace_back(key.name, key.fallback);
  }
  return item;
}

std::string DraftItem::text() const {
  std::string all;
  for (const DraftKey& key : kind->keys) {
    const std::string& value = values.text(key.name);
    if (!value.empty()) all += fmt::format("{}{}={}", all.empty() ? ":" : ",", key.name, value);
  }
  if (!extend.empty())
    all += fmt::format("{}extend={}", all.empty() ? ":" : ",", extend.front().kind->name);
  return kind->name + all;
}

std::int64_t DraftItem::length() const {
  const std::int64_t own = kind->length(values);
  return extend.empty() ? own : std::min<std::int64_t>(31, own + extend.front().length());
}

draft::AnyDrafter DraftItem::make(const DraftRequest& request) const {
  draft::AnyDrafter drafter = kind->make(values, request);
  if (extend.empty()) return drafter;
  return must(draft::AnyDrafter::make(
      must(draft::Extended::create(std::move(drafter), extend.front().make(request)))));
}

std::string DraftChoice::text() const {
  std::string all;
  for (const DraftItem& item : items) all += (all.empty() ? "" : "+") + item.text();
  return drafts ? all : "none";
}

std::int64_t DraftChoice::max_draft() const {
  std::int64_t most = 0;
  for (const DraftItem& item : items) most = std::max(most, item.length());
  return most;
}

draft::AnyDrafter DraftChoice::make(DraftRequest request) const {
  if (!drafts) return {};
  request.shared = shared.get();
  std::vector<draft::AnyDrafter> members;
  for (const DraftItem& item : items) members.push_back(item.make(request));
  return chain(std::move(members));
}

CLI::Option* add_draft(CLI::App& app, std::string& text) {
  std::string help =
      "Drafter: none, auto, or KIND[:key=value,...][+KIND...], where the first that proposes wins. "
      "Kinds:";
  for (const DraftKind* kind : draft_kinds) {
    help += fmt::format("\n  {}: {}", kind->name, kind->meaning);
    for (const DraftKey& key : kind->keys)
      help += fmt::format(" {}={} ({});", key.name, key.fallback == nullptr ? "..." : key.fallback,
                          key.meaning);
  }
  return app.add_option("--draft", text, help);
}

DraftChoice parse_draft(const std::string& text) {
  DraftChoice choice;
  if (text == "none") return choice;
  choice.drafts = true;
  choice.shared = std::make_shared<DraftShared>();
  const std::string all = text == "auto" ? automatic : text;
  for (std::size_t begin = 0; begin <= all.size();) {
    const std::size_t end = item_end(all, begin);
    choice.items.push_back(DraftItem::parse(all.substr(begin, end - begin)));
    begin = end + 1;
  }
  if (choice.items.size() > draft::Chain::most)
    bad_usage(option, "at most {} kinds one after another, found {}", draft::Chain::most,
              choice.items.size());
  return choice;
}

}  // namespace kedge::tools
