// --draft none | auto | lookup[:n=8,min=2]
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "kedge/draft/drafter.hpp"

namespace kedge::tools {

struct DraftChoice {
  bool drafts = false;
  std::int64_t length = 8, min_match = 2;

  std::string text() const;  // "none", "lookup:n=8,min=2"
  std::int64_t max_draft() const { return drafts ? length : 0; }
  // `capacity`: tokens of the longest text.
  draft::AnyDrafter make(std::int64_t capacity) const;
};

CLI::Option* add_draft(CLI::App& app, std::string& text);
DraftChoice parse_draft(const std::string& text);

}  // namespace kedge::tools
