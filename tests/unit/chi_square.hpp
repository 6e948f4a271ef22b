// Pearson's test of counts against probabilities. Seeds are fixed, so a test that uses it passes
// always or never.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace kedge::tests {

struct ChiSquare {
  double statistic = 0, limit = 0;  // the 0.9999 quantile (Wilson and Hilferty's formula)
  int cells = 0;
  bool possible = true;  // nothing was seen that has no probability
  bool passes() const { return possible && statistic < limit; }
};

// Cells with fewer than 8 expected are one.
inline ChiSquare chi_square(const std::vector<double>& probability, const std::vector<long>& seen) {
  ChiSquare test;
  double draws = 0;
  for (const long n : seen) draws += static_cast<double>(n);
  double rest_mean = 0, rest_seen = 0;
  const auto add = [&](double mean, double count) {
    test.statistic += (count - mean) * (count - mean) / mean;
    ++test.cells;
  };
  for (std::size_t i = 0; i < probability.size(); ++i) {
    const double mean = probability[i] * draws, count = static_cast<double>(seen[i]);
    if (probability[i] == 0 && count > 0) test.possible = false;
    if (mean < 8) {
      rest_mean += mean;
      rest_seen += count;
    } else {
      add(mean, count);
    }
  }
  if (rest_mean >= 8) add(rest_mean, rest_seen);
  const double k = test.cells - 1, a = 2 / (9 * k);
  test.limit = k * std::pow(1 - a + 3.719 * std::sqrt(a), 3);
  return test;
}

}  // namespace kedge::tests
