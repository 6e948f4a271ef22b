// What rounds cost, measured as they run: the time of a pass over one row, c(n) = T(n rows) / T(1
// row), and a drafter's time as a fixed part and one per guess. Times come from a machine that does
// other things as well, so one observation moves an estimate by a bounded share only; and T(1)
// grows with the context, so widths are kept as ratios to the time of one row lately.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::spec {

class CostModel {
 public:
  static constexpr std::int64_t most_rows = 33;

  // Whether a round of one row was seen: before, there is nothing to compare with.
  bool known() const noexcept { return plain_count_ > 0; }
  double plain_ms() const noexcept { return plain_; }
  // c(n): never falling, 1 for one row. Widths that were not seen follow their neighbours and a
  // line through the others.
  double ratio(std::int64_t rows) const noexcept { return curve_[index(rows)]; }
  double ms(std::int64_t rows) const noexcept { return plain_ * ratio(rows); }
  // As ms(), but a width that was hardly seen may turn out cheaper, if wider ones were seen: worth
  // finding out, as steps of kernels make some widths much cheaper than the line says.
  double hopeful_ms(std::int64_t rows) const noexcept {
    const double weight = widths_[index(rows)].weight;
    const double hope = rows >= widest_ || weight >= 3 ? 1 : weight > 0 ? 0.85 : 0.6;
    return plain_ * (1 + hope * (ratio(rows) - 1));
  }

  void see(std::int64_t rows, double ms) noexcept {
    if (!(ms > 0)) return;
    if (rows <= 1) {
      see_plain(ms);
      return;
    }
    ++since_plain_;
    if (!known()) return;
    Width& width = widths_[index(rows)];
    widest_ = std::max(widest_, rows);
    const double expected = curve_[index(rows)], found = ms / plain_;
    // Rounds of one row are rare while drafts hold; then wide ones tell how T(1) drifts.
    if (since_plain_ > 16 && width.weight >= 4)
      plain_ *= 1 + 0.1 * (std::clamp(found / expected, 0.8, 1.25) - 1);
    const double spread = width.weight < 3 ? 1.6 : 1.25;
    const double near = std::clamp(found, expected / spread, expected * spread);
    width.weight = std::min(width.weight + 1, longest_memory);
    width.mean += (near - width.mean) / width.weight;
    fit();
  }

 private:
  struct Width {
    double weight = 0, mean = 0;
  };
  static constexpr double longest_memory = 24;  // observations
  // A pass over few rows is mostly reading weights: a row more costs about a tenth (measured, see
  // docs/performance.md). As sure as one observation of ten more rows.
  static constexpr double prior_slope = 0.12, prior_weight = 20;

  static std::size_t index(std::int64_t rows) noexcept {
    return static_cast<std::size_t>(std::clamp<std::int64_t>(rows, 1, most_rows));
  }
  void see_plain(double ms) noexcept {
    since_plain_ = 0;
    if (plain_count_++ == 0) plain_ = ms;
    // The first is often slow: caches are cold.
    else if (plain_count_ == 2) plain_ = std::min(plain_, 1.25 * ms);
    const double gain = 1.0 / static_cast<double>(std::min<std::int64_t>(plain_count_, 10));
    const double spread = plain_count_ < 4 ? 1.5 : 1.25;
    plain_ *= 1 + gain * (std::clamp(ms / plain_, 1 / spread, spread) - 1);
  }
  // Every width's mean, drawn towards a line through 1 that all widths agree on; then made
  // monotone: neighbours in the wrong order share their mean (pool adjacent violators, Ayer et al.
  // 1955).
  void fit() noexcept {
    double above = prior_weight * prior_slope, below = prior_weight;
    for (std::int64_t n = 2; n <= most_rows; ++n) {
      const Width& width = widths_[index(n)];
      const auto x = static_cast<double>(n - 1);
      above += width.weight * x * (width.mean - 1);
      below += width.weight * x * x;
    }
    const double slope = std::max(0.0, above / below);
    std::array<double, most_rows + 1> value{}, weight{};
    std::array<std::int64_t, most_rows + 1> size{};
    std::size_t pools = 0;
    for (std::int64_t n = 1; n <= most_rows; ++n) {
      const Width& width = widths_[index(n)];
      const double line = 1 + slope * static_cast<double>(n - 1);
      // One row is 1 by definition.
      weight[pools] = n == 1 ? 1e9 : width.weight + 1;
      value[pools] = n == 1 ? 1 : (width.weight * width.mean + line) / weight[pools];
      size[pools++] = 1;
      while (pools > 1 && value[pools - 2] > value[pools - 1]) {
        const double sum = weight[pools - 2] + weight[pools - 1];
        value[pools - 2] =
            (value[pools - 2] * weight[pools - 2] + value[pools - 1] * weight[pools - 1]) / sum;
        weight[pools - 2] = sum;
        size[pools - 2] += size[pools - 1];
        --pools;
      }
    }
    std::size_t n = 1;
    for (std::size_t pool = 0; pool < pools; ++pool)
      for (std::int64_t i = 0; i < size[pool]; ++i) curve_[n++] = value[pool];
  }
  static constexpr std::array<double, most_rows + 1> prior_curve() noexcept {
    std::array<double, most_rows + 1> curve{};
    for (std::size_t n = 1; n < curve.size(); ++n)
      curve[n] = 1 + prior_slope * static_cast<double>(n - 1);
    return curve;
  }

  std::array<Width, most_rows + 1> widths_{};
  std::array<double, most_rows + 1> curve_ = prior_curve();
  double plain_ = 0;
  std::int64_t plain_count_ = 0, since_plain_ = 0, widest_ = 1;
};

// A drafter's time: fixed + per guess, by least squares over the last few dozen proposals.
class DraftCost {
 public:
  bool known() const noexcept { return weight_ > 0; }
  template <class Count>  // a number, or an expectation of one
  double ms(Count guesses) const noexcept {
    return fixed_ + per_guess_ * static_cast<double>(guesses);
  }
  void see(std::int64_t guesses, double ms) noexcept {
    if (!(ms >= 0)) return;
    // The first may have a whole prompt to catch up with.
    const bool first = !known();
    if (!first) ms = std::min(ms, 3 * this->ms(guesses) + 0.01);
    const double keep = 1 - 1.0 / 32, x = static_cast<double>(guesses);
    weight_ = keep * weight_ + 1;
    x_ = keep * x_ + x;
    y_ = keep * y_ + ms;
    xx_ = keep * xx_ + x * x;
    xy_ = keep * xy_ + x * ms;
    const double spread = xx_ * weight_ - x_ * x_;
    // Proposals of one length say nothing about what a guess costs: half of it at first, and later
    // what it did when lengths differed.
    if (spread > 0.25 * weight_ * weight_) per_guess_ = (xy_ * weight_ - x_ * y_) / spread;
    else if (first && x_ > 0) per_guess_ = 0.5 * y_ / x_;
    per_guess_ = std::clamp(per_guess_, 0.0, x_ > 0 ? y_ / x_ : 0.0);
    fixed_ = std::max(0.0, (y_ - per_guess_ * x_) / weight_);
    if (first) weight_ *= 0.2, x_ *= 0.2, y_ *= 0.2, xx_ *= 0.2, xy_ *= 0.2;
  }

 private:
  double weight_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0, fixed_ = 0, per_guess_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::spec
