#include "draft/markov_choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "io/guarded.hpp"
#include "kedge/core/os/fp_env.hpp"
#include "kedge/kernel/cpu/markov_reach.hpp"
#include "kedge/kernel/cpu/matmul.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

using cpu::panel_rows;

// Norms are rounded upwards by this much, for the rounding of them and of what is made of them.
constexpr double upwards = 1 + 2e-6;
// Panels that are asked for before they are used.
constexpr std::int64_t ahead = 8;

// What kernels make of a product of `rank` values may exceed the norms' by the rounding of as many
// sums and of the scales; 2^-24 each, and as much again four times.
double rounding(std::int64_t rank) noexcept { return static_cast<double>(rank + 16) * 0x1p-22; }

double norm(const Tensor& z) noexcept {
  double squares = 0;
  if (z.element == Element::f32) {
    const float* const x = z.row<float>(0);
    for (std::int64_t i = 0; i < z.width(); ++i) squares += double{x[i]} * double{x[i]};
    return std::sqrt(squares);
  }
  for (std::int64_t b = 0; b < z.width() / 32; ++b) {
    const auto& block = z.row<BlockQ8Act>(0)[b];
    std::int32_t sum = 0;
    for (const std::int8_t q : block.q) sum += q * q;
    squares += double{block.d} * double{block.d} * sum;
  }
  return std::sqrt(squares);
}

}  // namespace

bool MarkovChoice::bounded(Element weight) noexcept {
  switch (weight) {
    case Element::f32:
    case Element::f16:
    case Element::bf16:
    case Element::q8_0:
    case Element::q4_0:
    case Element::q5_0:
    case Element::q6_k:
      return true;
    default:
      return false;
  }
}

Status MarkovChoice::measure(const Tensor& w2, Executor* executor, float* reach) noexcept {
  struct Context {
    const Tensor& w2;
    float* reach;
    std::vector<float> values;  // of a row for every task
    std::int64_t panels, step;
  };
  return io::guarded("markov head", [&]() -> Status {
    constexpr std::size_t tasks = 64;
    const std::int64_t panels = cpu::panel_count(w2.rows());
    Context context{w2, reach, std::vector<float>(tasks * static_cast<std::size_t>(w2.width())),
                    panels, (panels + std::int64_t{tasks} - 1) / std::int64_t{tasks}};
    const auto body = [](void* c, std::size_t task) noexcept {
      auto& [w, out, values, count, step] = *static_cast<Context*>(c);
      float* const row = values.data() + task * static_cast<std::size_t>(w.width());
      const std::int64_t first = static_cast<std::int64_t>(task) * step;
      for (std::int64_t p = first; p < std::min(first + step, count); ++p) {
        double largest = 0;
        for (std::int64_t r = p * panel_rows; r < std::min((p + 1) * panel_rows, w.rows()); ++r) {
          cpu::decode_weight_row(w, r, row);
          double squares = 0;
          for (std::int64_t i = 0; i < w.width(); ++i) squares += double{row[i]} * double{row[i]};
          // Not std::max: a NaN is to stay.
          if (!(squares <= largest)) largest = squares;
          if (std::isnan(squares)) break;
        }
        out[p] = static_cast<float>(std::sqrt(largest) * upwards);
      }
    };
    SerialExecutor serial;
    return (executor == nullptr ? serial : *executor).tasks(tasks, body, &context);
  });
}

Result<MarkovChoice> MarkovChoice::create(const Tensor& w2, const float* reach, const Cpu& cpu,
                                          const Allocator& allocator) noexcept {
  MarkovChoice choice;
  const std::int64_t panels = cpu::panel_count(w2.rows());
  // Weights that were not looked at may be anything; then there is no bound.
  if (!std::all_of(reach, reach + panels, [](float r) { return std::isfinite(r); })) return choice;
  choice.w2_ = w2;
  choice.reach_ = reach;
  choice.isa_ = cpu.isa();
  // One worker takes these while the others wait, where each would have its share of the product.
  // Half of that time is worth trying.
  choice.most_ = panels / (2 * std::int64_t{cpu.workers()});
  KEDGE_TRY(choice.candidates_,
            Buffer::create(static_cast<std::size_t>(choice.most_) * sizeof(std::int32_t),
                           "markov head", allocator));
  return choice;
}

int MarkovChoice::rows_of(std::int64_t panel) const noexcept {
  return static_cast<int>(std::min<std::int64_t>(panel_rows, w2_.rows() - panel * panel_rows));
}

void MarkovChoice::prefetch(std::int64_t panel) const noexcept {
  const std::size_t bytes = cpu::panel_bytes(w2_.element, w2_.width());
  const std::byte* const at = w2_.data + static_cast<std::size_t>(panel) * bytes;
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}

void MarkovChoice::multiply(const Tensor& z, const float* logits, std::int64_t panel,
                            Best& best) noexcept {
  const std::int64_t first = panel * panel_rows;
  const std::size_t bytes = cpu::panel_bytes(w2_.element, w2_.width());
  const int rows = rows_of(panel);
  float sums[panel_rows];
  cpu::matmul_unit(isa_, w2_.element)
      .body({w2_.data + static_cast<std::size_t>(panel) * bytes, bytes, w2_.width(), rows, z.data,
             static_cast<std::int64_t>(z.bytes()), logits + first, rows, sums, rows},
            1, 0, 1);
  ++panels_;
  for (int i = 0; i < rows && best.index != unknown; ++i) {
    const auto index = static_cast<std::int32_t>(first + i);
    if (std::isnan(sums[i])) best.index = unknown;
    else if (sums[i] > best.sum || (sums[i] == best.sum && index < best.index))
      best = {sums[i], index};
  }
}

std::int32_t MarkovChoice::choose(const Tensor& z, const float* logits,
                                  std::int32_t largest) noexcept {
  panels_ = 0;
  if (largest < 0) return unknown;
  const os::ScopedFpEnv fp;
  const auto length = static_cast<float>(norm(z) * (1 + rounding(z.width())) * upwards);
  if (!std::isfinite(length)) return unknown;
  Best best{-std::numeric_limits<float>::infinity(), std::numeric_limits<std::int32_t>::max()};
  const std::int64_t seed = largest / panel_rows;
  multiply(z, logits, seed, best);
  // What a logit has to be above, its panel's reach added, to come up to the best sum: a little
  // less than that sum, for the rounding of sums and thresholds.
  const auto least = [&] {
    const double sum = best.sum;
    return static_cast<float>(sum - 1e-6 * std::abs(sum) - 1e-30);
  };
  const cpu::MarkovReachUnit& unit = cpu::markov_reach_unit(isa_);
  auto* const candidates = candidates_.as<std::int32_t>();
  const std::int64_t found =
      unit.panels(logits, w2_.rows(), reach_, least(), length, candidates, most_);
  if (found > most_) return unknown;
  // Panels come from afar, one here and one there: several are asked for at once.
  for (std::int64_t i = 0; i < std::min(found, ahead); ++i) prefetch(candidates[i]);
  for (std::int64_t i = 0; i < found && best.index != unknown; ++i) {
    if (i + ahead < found) prefetch(candidates[i + ahead]);
    const std::int64_t p = candidates[i], first = p * panel_rows;
    std::int32_t still = 0;  // the best sum has risen
    if (p != seed &&
        unit.panels(logits + first, rows_of(p), reach_ + p, least(), length, &still, 1))
      multiply(z, logits, p, best);
  }
  return best.index;
}

}  // namespace kedge::inline KEDGE_ABI::draft
