// Stats as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/output.hpp"
#include "kedge/spec/stats.hpp"

namespace kedge::tools {

// One line for a person: what was drafted, what it brought, and why lengths were chosen.
std::string statistics_line(const Stats& stats);
Table statistics_table(const Stats& stats);
nlohmann::json statistics_json(const Stats& stats);

}  // namespace kedge::tools
