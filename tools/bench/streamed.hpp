// kedge bench ops --from-memory: matmul and attention over operands in rotation that no cache
// holds, beside what the machine allows in the same repetition.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bench/limits.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"

namespace kedge::tools {

struct StreamedOptions {
  std::string shape = "14336x4096";  // N x K
  std::vector<std::string> formats = {"q8_0", "q4_0", "q4_1", "bf16", "q4_k", "q5_k", "q6_k"};
  std::vector<std::string> caches = {"f16", "q8_0"};
  std::vector<std::int64_t> widths = {};  // none: 1 to 16 for matmul, 1 and 8 for attention
  std::vector<std::int32_t> head_dims = {64, 128};
  std::int32_t heads = 32, kv_heads = 8;
  std::int64_t keys = 8192, rotation_mib = 512;
  int repetitions = 7;
};

// Times of one operator by width and repetition, with the limits of each repetition.
struct Curve {
  std::string op, name;  // "matmul", "q4_0 14336 x 4096"
  cpu::Isa isa = cpu::Isa::scalar;
  Family family = Family::none;
  double bytes = 0;  // that every call reads whatever its width
  std::vector<std::int64_t> widths = {};
  std::vector<double> call_bytes = {}, multiply_adds = {};  // by width
  std::vector<Limits> limits = {};                          // by repetition
  std::vector<std::vector<double>> seconds = {};            // by width, then repetition
  double difference = 0;                                    // from the reference
  int disturbed = 0;  // repetitions left out because somebody else had the processors
};

// Takes the repetitions: every width in a new order each, `call(i, width)` being one call on the
// i-th operand of the rotation; a sample is the median of calls over `operands / 4` of them.
template <class Call>
void take_curve(Curve& curve, Machine& machine, std::size_t operands, int repetitions,
                std::uint64_t seed, Call call);

Curve stream_matmul(const StreamedOptions& o, Element element, cpu::Isa isa, Executor& executor,
                    Machine& machine);
Curve stream_attention(const StreamedOptions& o, Element cache, std::int32_t head_dim, cpu::Isa isa,
                       Executor& executor, Machine& machine);

// Runs what was asked for, prints a table per curve, returns them for --json.
nlohmann::json stream_operators(const StreamedOptions& o, const std::string& only,
                                const std::vector<cpu::Isa>& isas, Executor& executor,
                                std::FILE* out);

double seconds_since(std::chrono::steady_clock::time_point start);

template <class Call>
void take_curve(Curve& curve, Machine& machine, std::size_t operands, int repetitions,
                std::uint64_t seed, Call call) {
  std::mt19937_64 rng(seed);
  curve.seconds.assign(curve.widths.size(), {});
  std::vector<std::size_t> order(curve.widths.size());
  for (std::size_t w = 0; w < order.size(); ++w) order[w] = w;
  std::size_t next = 0;
  const std::size_t calls = std::max<std::size_t>(3, operands / 4);
  for (const std::int64_t width : curve.widths) call(next++ % operands, width);  // warms up
  // A repetition in which the peak fell far below the best of the run was not alone on the
  // processors: its times say nothing, and another one is taken instead, up to twice as many.
  constexpr double alone = 0.8;
  const auto peak = [&](const Limits& limits) {
    const auto found = limits.giga.find(curve.family);
    return found == limits.giga.end() ? 1.0 : found->second;
  };
  double best = 0;
  const auto quiet = [&] {
    return std::count_if(curve.limits.begin(), curve.limits.end(),
                         [&](const Limits& limits) { return peak(limits) >= alone * best; });
  };
  for (int r = 0; r < 2 * repetitions && quiet() < repetitions; ++r) {
    std::shuffle(order.begin(), order.end(), rng);
    Limits limits = machine.measure();
    for (const std::size_t w : order) {
      std::vector<double> times;
      for (std::size_t c = 0; c < calls; ++c) {
        const auto start = std::chrono::steady_clock::now();
        call(next++ % operands, curve.widths[w]);
        times.push_back(seconds_since(start));
      }
      curve.seconds[w].push_back(median(times));
    }
    best = std::max(best, peak(limits));
    curve.limits.push_back(std::move(limits));
  }
  for (std::size_t r = curve.limits.size(); r-- > 0;) {
    if (peak(curve.limits[r]) >= alone * best) continue;
    ++curve.disturbed;
    const auto at = static_cast<std::ptrdiff_t>(r);
    curve.limits.erase(curve.limits.begin() + at);
    for (std::vector<double>& times : curve.seconds) times.erase(times.begin() + at);
  }
}

}  // namespace kedge::tools
