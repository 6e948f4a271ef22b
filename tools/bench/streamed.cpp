#include "bench/streamed.hpp"

#include "common/failure.hpp"

namespace kedge::tools {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

namespace {

// Of one repetition, so that ratios never mix two moods of the machine.
struct Point {
  double seconds, bound, memory, arithmetic;
};
Point point(const Curve& c, std::size_t w, std::size_t r) {
  const Limits& limits = c.limits[r];
  return {c.seconds[w][r], limits.bound(c.call_bytes[w], c.multiply_adds[w], c.family),
          limits.memory_seconds(c.call_bytes[w]),
          limits.arithmetic_seconds(c.multiply_adds[w], c.family)};
}
template <class Value>
std::vector<double> by_repetition(const Curve& c, Value value) {
  std::vector<double> list;
  for (std::size_t r = 0; r < c.limits.size(); ++r) list.push_back(value(r));
  return list;
}

nlohmann::json curve_json(const Curve& c) {
  nlohmann::json json = {{"op", c.op},
                         {"name", c.name},
                         {"isa", to_string(c.isa)},
                         {"family", to_string(c.family)},
                         {"bytes", c.bytes},
                         {"difference", c.difference},
                         {"disturbed", c.disturbed}};
  for (const Limits& limits : c.limits) json["limits"].push_back(limits_json(limits));
  for (std::size_t w = 0; w < c.widths.size(); ++w) {
    const auto all = [&](auto value) { return by_repetition(c, value); };
    const Spread microseconds = spread(all([&](std::size_t r) { return c.seconds[w][r] * 1e6; }));
    nlohmann::json one = {{"n", c.widths[w]},
                          {"call_bytes", c.call_bytes[w]},
                          {"multiply_adds", c.multiply_adds[w]},
                          {"microseconds", spread_json(microseconds)},
                          {"gb_per_s", c.call_bytes[w] / microseconds.median / 1e3},
                          {"of_bound", spread_json(spread(all([&](std::size_t r) {
                             const Point p = point(c, w, r);
                             return p.bound > 0 ? p.seconds / p.bound : 0;
                           })))},
                          {"share_of_floor", spread_json(spread(all([&](std::size_t r) {
                             const Point p = point(c, w, r);
                             return p.memory / p.seconds;
                           })))},
                          // Of the whole peak, not of 3/4 of it.
                          {"share_of_peak", spread_json(spread(all([&](std::size_t r) {
                             const Point p = point(c, w, r);
                             return Limits::peak_share * p.arithmetic / p.seconds;
                           })))},
                          {"arithmetic_over_memory", spread(all([&](std::size_t r) {
                                                       const Point p = point(c, w, r);
                                                       return p.arithmetic / p.memory;
                                                     })).median},
                          {"c", spread_json(spread(all([&](std::size_t r) {
                             return c.seconds[w][r] / c.seconds[0][r];
                           })))}};
    // How much more the next row costs than the bound says, in parts of t(1).
    if (w > 0 && c.widths[w] == c.widths[w - 1] + 1 && c.widths[0] == 1)
      one["step_excess"] = spread_json(spread(all([&](std::size_t r) {
        const Point p = point(c, w, r), before = point(c, w - 1, r);
        return (p.seconds - before.seconds - (p.bound - before.bound)) / c.seconds[0][r];
      })));
    json["widths"].push_back(one);
  }
  return json;
}

std::string with_spread(const nlohmann::json& s, int digits = 2) {
  return fmt::format("{:.{}f} ({:.{}f}-{:.{}f})", s["median"].get<double>(), digits,
                     s["low"].get<double>(), digits, s["high"].get<double>(), digits);
}

void print_curve(const Curve& c, const nlohmann::json& json, std::FILE* out) {
  const Spread floor =
      spread(by_repetition(c, [&](std::size_t r) { return c.limits[r].gb_per_s; }));
  const Spread peak = spread(by_repetition(c, [&](std::size_t r) {
    const auto found = c.limits[r].giga.find(c.family);
    return found == c.limits[r].giga.end() ? 0 : found->second;
  }));
  fmt::print(out,
             "\n{} {}, {}: {:.1f} MB a call; floor {:.2f} ({:.2f}-{:.2f}) GB/s, {} {:.0f} "
             "({:.0f}-{:.0f}) GMAC/s; {:.2g} from the reference\n",
             c.op, c.name, to_string(c.isa), c.bytes / 1e6, floor.median, floor.low, floor.high,
             to_string(c.family), peak.median, peak.low, peak.high, c.difference);
  if (c.disturbed > 0)
    fmt::print(out, "{} repetitions left out: the processors were shared\n", c.disturbed);
  Table table;
  for (const char* heading :
       {"n", "us", "c(n)", "GB/s", "of floor", "of peak", "t/bound", "step excess"})
    table.column(heading);
  for (const nlohmann::json& w : json["widths"])
    table.row({std::to_string(w["n"].get<int>()), with_spread(w["microseconds"], 0),
               fmt::format("{:.2f}", w["c"]["median"].get<double>()),
               fmt::format("{:.2f}", w["gb_per_s"].get<double>()),
               fmt::format("{:.2f}", w["share_of_floor"]["median"].get<double>()),
               fmt::format("{:.2f}", w["share_of_peak"]["median"].get<double>()),
               with_spread(w["of_bound"]),
               w.contains("step_excess")
                   ? fmt::format("{:+.3f}", w["step_excess"]["median"].get<double>())
                   : ""});
  table.print(out);
}

}  // namespace

nlohmann::json stream_operators(const StreamedOptions& o, const std::string& only,
                                const std::vector<cpu::Isa>& isas, Executor& executor,
                                std::FILE* out) {
  if (!only.empty() && only != "matmul" && only != "attention")
    bad_usage("--from-memory", "matmul and attention are timed from memory, not {}", only);
  nlohmann::json list = nlohmann::json::array();
  Machine machine(executor, available_families());
  Progress progress("from memory");
  const auto take = [&](const Curve& curve) {
    progress.clear();
    list.push_back(curve_json(curve));
    print_curve(curve, list.back(), out);
    std::fflush(out);
  };
  for (const cpu::Isa isa : isas) {
    if (only != "attention")
      for (const std::string& name : o.formats) {
        Element element = Element::count;
        for (unsigned e = 0; e < weight_formats; ++e)
          if (name == to_string(static_cast<Element>(e))) element = static_cast<Element>(e);
        if (element == Element::count) bad_usage("--formats", "there is no weight format {}", name);
        progress.show(0, name);
        take(stream_matmul(o, element, isa, executor, machine));
      }
    if (only != "matmul")
      for (const std::string& cache : o.caches)
        for (const std::int32_t head_dim : o.head_dims) {
          progress.show(0, cache);
          take(stream_attention(o, cache_element_named(cache), head_dim, isa, executor, machine));
        }
  }
  return list;
}

}  // namespace kedge::tools
