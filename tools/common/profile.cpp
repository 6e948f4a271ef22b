#include "common/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "kedge/op/matmul_argmax.hpp"

namespace kedge::tools {

namespace {

// Products differ by their weight, other operators hardly within a model.
std::string label(const cpu::Phase& phase, const cpu::Launch& launch) {
  std::string text = phase.op;
  const bool head = text == op::MatmulArgmax::name && phase.part == 0;
  if (text == op::Matmul::name || head) {
    const Tensor& weight = head ? static_cast<const op::MatmulArgmax::Args*>(phase.args)->weight
                                : static_cast<const op::Matmul::Args*>(phase.args)->weight;
    text += fmt::format(" {}x{} {}", weight.rows(), weight.width(), to_string(weight.element));
  } else if (phase.part > 0) {
    text += fmt::format(", phase {}", phase.part + 1);
  }
  return fmt::format("{}, {} row{}", text, launch.rows, launch.rows == 1 ? "" : "s");
}

}  // namespace

void Profile::ran(const cpu::Phase& phase, const cpu::Launch& launch, double seconds) noexcept {
  Part& part = parts_[label(phase, launch)];
  ++part.calls;
  part.seconds += seconds;
}

Table Profile::table(std::int64_t runs) const {
  std::vector<std::pair<std::string, Part>> parts(parts_.begin(), parts_.end());
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  double all = 0;
  for (const auto& [name, part] : parts) all += part.seconds;
  Table table;
  table.column("operator", Table::Align::left);
  for (const char* heading : {"calls", "us each", "us", "of all"}) table.column(heading);
  const auto row = [&](const std::string& name, const std::string& calls, const std::string& each,
                       double seconds) {
    table.row({name, calls, each, fmt::format("{:.1f}", 1e6 * seconds / static_cast<double>(runs)),
               fmt::format("{:.1f} %", 100 * seconds / all)});
  };
  for (const auto& [name, part] : parts)
    row(name, fmt::format("{}", part.calls / runs),
        fmt::format("{:.2f}", 1e6 * part.seconds / static_cast<double>(part.calls)), part.seconds);
  row("all", "", "", all);
  return table;
}

nlohmann::json Profile::json(std::int64_t runs) const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, part] : parts_)
    list.push_back({{"operator", name},
                    {"calls", part.calls / runs},
                    {"us", 1e6 * part.seconds / static_cast<double>(runs)}});
  return list;
}

}  // namespace kedge::tools
