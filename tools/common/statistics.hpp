// Stats as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/output.hpp"
#include "kedge/spec/stats.hpp"

namespace kedge::tools {

Table statistics_table(const Stats& stats);
nlohmann::json statistics_json(const Stats& stats);

}  // namespace kedge::tools
