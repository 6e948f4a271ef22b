// kedge bench cost: c(n) = T(n rows) / T(1 row), what the window policy needs to know, and how far
// each T(n) is from what reading and multiplying take at least (bench/step_cost.hpp).
#include "bench/cost.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/bench.hpp"
#include "bench/step_cost.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/profile.hpp"
#include "common/prompts.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::tools {

namespace {

constexpr std::size_t most_rows = 16;
constexpr std::int64_t far = 512;
constexpr int calls = 3;  // of one width in one repetition; their median counts

// Passes of n rows behind a context that stays as it is: nothing is committed.
class Passes {
 public:
  Passes(const std::shared_ptr<const Model>& model, const Cpu& cpu, Element element,
         std::int64_t context) {
    const ModelConfig& config = model->config();
    KvCache::Options kv;
    kv.element = element;
    kv.positions = context + static_cast<std::int64_t>(most_rows);
    kv.storage = model->state_storage();
    cache_ = must(KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv));
    Forward::Options options;
    options.max_rows = 128;
    options.max_outputs = most_rows;
    if (!config.recurrent.empty()) {  // kept as a session keeps it
      RecurrentState::Options state;
      state.policy = must(recurrent_policy(config.recurrent, most_rows - 1, {}));
      state.storage = kv.storage;
      recurrent_ = must(RecurrentState::create(config.recurrent, state));
    }
    forward_ = must(Forward::create(model, cpu, cache_, options, recurrent_.or_null()));
    sequence_ = must(Sequence::create(cache_, recurrent_.or_null()));
    tokens_ = synthetic_tokens(config.vocabulary, kv.positions, 3);
    // Far context of a model that only attends repeats the first rows' keys and values: what they
    // say changes no time, and evaluating thousands of rows would take longer than all that
    // follows.
    const std::int64_t evaluated = config.recurrent.empty() ? std::min(context, far) : context;
    for (std::int64_t first = 0; first < evaluated; first += options.max_rows)
      pass(std::min(options.max_rows, evaluated - first), false);
    if (context > evaluated) {
      Transaction transaction = must(sequence_.begin(context - evaluated));
      for (std::int64_t p = evaluated; p < context; ++p)
        cache_.move_row(sequence_.index(), p % evaluated, p);
      must(transaction.commit(context - evaluated));
    }
  }

  double milliseconds(std::size_t rows) {
    const auto start = std::chrono::steady_clock::now();
    pass(static_cast<std::int64_t>(rows), true);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

 private:
  void pass(std::int64_t count, bool measured) {
    Transaction transaction = must(sequence_.begin(count, measured ? count : 1));
    rows_.clear();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t position = transaction.first_position() + i;
      rows_.push_back({tokens_[static_cast<std::size_t>(position)],
                       static_cast<std::int32_t>(position), sequence_.index(),
                       measured ? Need::argmax : Need::none});
    }
    must(forward_.run(rows_));
    if (!measured) must(transaction.commit(count));
  }

  KvCache cache_;
  RecurrentState recurrent_;
  Forward forward_;
  Sequence sequence_;
  std::vector<std::int32_t> tokens_;
  std::vector<Row> rows_;
};

nlohmann::json cost_at(const CostOptions& o, const ModelFile& file, const Cpu& cpu,
                       Machine& machine, std::int64_t context, std::FILE* out) {
  const auto passes = std::make_unique<Passes>(file.model, cpu, o.machine.cache_element(), context);
  const StepCost least(*file.model, cpu.isa(), o.machine.cache_element(), context);
  for (const std::size_t warm : {1, 2, 8, 16, 1}) passes->milliseconds(warm);

  Progress progress("c(n)");
  std::mt19937_64 rng(5);
  std::vector<double> share, bandwidth, time[most_rows + 1], ratio[most_rows + 1],
      of_bound[most_rows + 1], bound_ms[most_rows + 1];
  std::vector<Limits> limits;
  const auto bytes = static_cast<double>(file.model->step_bytes());
  for (int r = 0; r < o.repetitions; ++r) {
    std::vector<std::size_t> order;
    for (std::size_t n = 1; n <= most_rows; ++n) order.push_back(n);
    std::shuffle(order.begin(), order.end(), rng);
    progress.show(static_cast<double>(r) / o.repetitions, "limits");
    limits.push_back(machine.measure());
    const Limits& here = limits.back();
    double now[most_rows + 1] = {};
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t n = order[i];
      progress.show(
          (r + static_cast<double>(i) / static_cast<double>(order.size())) / o.repetitions,
          fmt::format("{} rows", n));
      std::vector<double> samples;
      for (int c = 0; c < calls; ++c) samples.push_back(passes->milliseconds(n));
      now[n] = median(samples);
    }
    bandwidth.push_back(here.gb_per_s);
    share.push_back(here.memory_seconds(bytes) * 1e3 / now[1]);
    for (std::size_t n = 1; n <= most_rows; ++n) {
      time[n].push_back(now[n]);
      ratio[n].push_back(now[n] / now[1]);
      bound_ms[n].push_back(least.seconds(static_cast<double>(n), here) * 1e3);
      of_bound[n].push_back(now[n] / bound_ms[n].back());
    }
  }
  progress.clear();

  fmt::print(out,
             "\ncontext {}: T(1) {:.3f} ms, {} of weights a step, read floor {:.2f} GB/s: {:.1f} % "
             "of it; {} and {:.0f} M multiply-adds with states\n",
             context, median(time[1]), bytes_text(bytes), median(bandwidth), 100 * median(share),
             bytes_text(least.bytes()), least.multiply_adds() / 1e6);
  Table table;
  table.column("rows", Table::Align::left);
  std::vector<std::string> c = {"c(n)"}, ms = {"ms"}, each = {"ms per row"}, of = {"of bound"};
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t n = 1; n <= most_rows; ++n) {
    table.column(std::to_string(n));
    c.push_back(fmt::format("{:.2f}", median(ratio[n])));
    ms.push_back(fmt::format("{:.2f}", median(time[n])));
    each.push_back(fmt::format("{:.2f}", median(time[n]) / static_cast<double>(n)));
    of.push_back(fmt::format("{:.2f}", median(of_bound[n])));
    rows.push_back({{"n", n},
                    {"c", median(ratio[n])},
                    {"ms", median(time[n])},
                    {"c_spread", spread_json(spread(ratio[n]))},
                    {"ms_spread", spread_json(spread(time[n]))},
                    {"bound_ms", median(bound_ms[n])},
                    {"of_bound", median(of_bound[n])}});
  }
  table.row(c);
  table.row(ms);
  table.row(each);
  table.row(of);
  table.print(out);
  nlohmann::json json = {{"context", context},
                         {"bytes", least.bytes()},
                         {"multiply_adds", least.multiply_adds()},
                         {"floor_gb_per_s", median(bandwidth)},
                         {"share_of_floor", median(share)},
                         {"t1_ms", median(time[1])},
                         {"cost", rows}};
  for (const Limits& each_limits : limits) json["limits"].push_back(limits_json(each_limits));
  return json;
}

// Passes of their own: a clock between phases takes a little of the time that it measures.
nlohmann::json profile_at(const CostOptions& o, const ModelFile& file, cpu::Isa isa,
                          Executor& executor, std::int64_t context, std::FILE* out) {
  Profile profile;
  const Cpu cpu = must(Cpu::create({isa, &executor, &profile}));
  const auto passes = std::make_unique<Passes>(file.model, cpu, o.machine.cache_element(), context);
  nlohmann::json json = nlohmann::json::array();
  for (const std::int64_t rows : o.profile) {
    for (int r = -1; r < o.repetitions; ++r) {
      if (r == 0) profile.clear();
      passes->milliseconds(static_cast<std::size_t>(rows));
    }
    fmt::print(out, "\ncontext {}, a pass of {} rows, by operator:\n", context, rows);
    profile.table(o.repetitions).print(out);
    json.push_back({{"rows", rows}, {"parts", profile.json(o.repetitions)}});
  }
  return json;
}

}  // namespace

nlohmann::json measure_cost(const CostOptions& o, std::FILE* out) {
  const cpu::Isa isa = o.machine.chosen_isa();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  LoadOptions load;
  load.accelerator = o.machine.accelerator();
  const ModelFile file = load_model(o.model, executor.get(), load);
  const Cpu cpu = must(Cpu::create({isa, executor.get()}));
  Machine machine(*executor, StepCost(*file.model, isa, o.machine.cache_element(), 0).families());
  fmt::print(out, "{}; {} threads, {}, {} repetitions of {}\n", machine_name(), executor->workers(),
             to_string(isa), o.repetitions, calls);
  nlohmann::json contexts = nlohmann::json::array();
  for (const std::int64_t context : o.contexts) {
    contexts.push_back(cost_at(o, file, cpu, machine, context, out));
    if (!o.profile.empty())
      contexts.back()["profile"] = profile_at(o, file, isa, *executor, context, out);
  }
  // The first context's figures also stand at the top.
  nlohmann::json json = contexts[0];
  json.update({{"machine", machine_name()},
               {"model", o.model},
               {"isa", to_string(isa)},
               {"threads", executor->workers()},
               {"repetitions", o.repetitions},
               {"step_bytes", file.model->step_bytes()},
               {"contexts", contexts}});
  return json;
}

void add_bench_cost(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand("cost", "c(n) for 1 to 16 rows, beside the read floor");
  const auto o = std::make_shared<CostOptions>();
  app->add_option("--model", o->model, "GGUF file")->required();
  app->add_option("--context", o->contexts, "Positions before the rows; several with commas")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 24));
  app->add_option("--repetitions", o->repetitions, "Of everything, in a new order each time")
      ->check(CLI::Range(1, 10000));
  app->add_option("--profile", o->profile,
                  "Also say where the time of passes of so many rows goes, by operator; several "
                  "with commas; on the CPU")
      ->delimiter(',')
      ->check(CLI::Range(1, 16));
  o->machine.add_backend(*app);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] {
                        write_json(o->json, measure_cost(*o, text_stream(o->json)));
                        return 0;
                      }});
}

}  // namespace kedge::tools
