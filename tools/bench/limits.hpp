// What a pass takes at least on this machine at this moment: the larger of reading its bytes at the
// measured bandwidth and of its multiply-adds at 3/4 of the measured peak. (Besides products, a
// kernel unpacks weights and applies scales on the same ports: facts of the machine allow 3/4.)
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/bandwidth.hpp"
#include "bench/peak.hpp"

namespace kedge::tools {

struct Limits {
  static constexpr double peak_share = 0.75;

  double gb_per_s = 0;
  std::map<Family, double> giga;  // multiply-adds per second, 1e9

  double memory_seconds(double bytes) const { return bytes / (gb_per_s * 1e9); }
  double arithmetic_seconds(double multiply_adds, Family family) const {
    const auto found = giga.find(family);
    if (found == giga.end() || found->second == 0) return 0;
    return multiply_adds / (peak_share * found->second * 1e9);
  }
  double bound(double bytes, double multiply_adds, Family family) const {
    return std::max(memory_seconds(bytes), arithmetic_seconds(multiply_adds, family));
  }
};

// Measures them; once per repetition, since shared machines change within minutes.
class Machine {
 public:
  Machine(Executor& executor, std::vector<Family> families)
      : read_(std::make_unique<ReadBandwidth>(executor)),
        peak_(executor),
        families_(std::move(families)) {}

  Limits measure() {
    Limits now;
    now.gb_per_s = read_->gigabytes_per_second();
    for (const Family family : families_) now.giga[family] = peak_.giga_per_second(family);
    return now;
  }

 private:
  std::unique_ptr<ReadBandwidth> read_;
  ArithmeticPeak peak_;
  std::vector<Family> families_;
};

inline nlohmann::json limits_json(const Limits& limits) {
  nlohmann::json json = {{"floor_gb_per_s", limits.gb_per_s}};
  for (const auto& [family, giga] : limits.giga) json["peak_gmac_per_s"][to_string(family)] = giga;
  return json;
}

// Quartiles of what the repetitions gave.
struct Spread {
  double low = 0, median = 0, high = 0;
};
inline Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}
inline nlohmann::json spread_json(const Spread& s) {
  return {{"low", s.low}, {"median", s.median}, {"high", s.high}};
}

}  // namespace kedge::tools
