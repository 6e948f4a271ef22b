// --draft none | auto | KIND[:key=value,...][+KIND...]: the first that proposes wins. With
// extend=KIND the guesses of one are continued by another, of that kind with its defaults.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/drafter_kind.hpp"
#include "kedge/draft/drafter.hpp"

namespace kedge::tools {

// One KIND[:key=value,...].
struct DraftItem {
  const DraftKind* kind = nullptr;
  DraftValues values;
  std::vector<DraftItem> extend;  // none or one

  static DraftItem parse(const std::string& text);
  std::string text() const;  // with all keys
  std::int64_t length() const;
  draft::AnyDrafter make(const DraftRequest& request) const;
};

struct DraftChoice {
  bool drafts = false;
  std::vector<DraftItem> items;
  // Must outlive the drafters; copies of the choice share it.
  std::shared_ptr<DraftShared> shared;

  std::string text() const;  // "none", "lookup:n=8,min=2"
  std::int64_t max_draft() const;
  draft::AnyDrafter make(DraftRequest request) const;
};

CLI::Option* add_draft(CLI::App& app, std::string& text);
// A Failure names the option, what was found, and what is known.
DraftChoice parse_draft(const std::string& text);

}  // namespace kedge::tools
