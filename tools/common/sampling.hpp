// The options that say how tokens are drawn.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "kedge/sample/options.hpp"

namespace kedge::tools {

struct SamplingChoice {
  SamplingOptions options;
  bool given = false;  // any of them was on the command line

  void add(CLI::App& app);
  std::string text() const;  // "greedy", "temperature 0.8, top_p 0.95, seed 1"
};

}  // namespace kedge::tools
