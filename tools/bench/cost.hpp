// What `kedge bench cost` measures, which `kedge bench report` also shows.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/machine.hpp"

namespace kedge::tools {

struct CostOptions {
  std::string model, json;
  std::vector<std::int64_t> contexts = {256};
  int repetitions = 7;
  std::vector<std::int64_t> profile;  // widths
  MachineOptions machine;
};

// Prints tables to `out`; the JSON has the first context's figures at the top and all of them under
// "contexts".
nlohmann::json measure_cost(const CostOptions& o, std::FILE* out);

}  // namespace kedge::tools
