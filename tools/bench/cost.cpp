// kedge bench cost: c(n) = T(n rows) / T(1 row), what the window policy needs to know, and how far
// T(1) is from the time that reading the weights takes at least.
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/bandwidth.hpp"
#include "bench/bench.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/prompts.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::tools {

namespace {

constexpr std::size_t most_rows = 16;
constexpr int calls = 3;  // of one width in one repetition; their median counts

struct CostArguments {
  std::string model, json;
  std::int64_t context = 256;
  int repetitions = 7;
  MachineOptions machine;
};

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
    for (std::int64_t first = 0; first < context; first += options.max_rows)
      pass(std::min(options.max_rows, context - first), false);
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

int cost(const CostArguments& o) {
  const cpu::Isa isa = o.machine.chosen_isa();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  LoadOptions load;
  load.accelerator = o.machine.accelerator();
  const ModelFile file = load_model(o.model, executor.get(), load);
  const auto passes = std::make_unique<Passes>(file.model, must(Cpu::create({isa, executor.get()})),
                                               o.machine.cache_element(), o.context);
  const auto floor = std::make_unique<ReadBandwidth>(*executor);
  for (const std::size_t warm : {1, 2, 8, 16, 1}) passes->milliseconds(warm);

  Progress progress("c(n)");
  std::mt19937_64 rng(5);
  std::vector<double> bandwidth, share, time[most_rows + 1], ratio[most_rows + 1];
  const auto bytes = static_cast<double>(file.model->step_bytes());
  for (int r = 0; r < o.repetitions; ++r) {
    std::vector<std::size_t> order;
    for (std::size_t n = 0; n <= most_rows; ++n) order.push_back(n);  // 0: the floor
    std::shuffle(order.begin(), order.end(), rng);
    double now[most_rows + 1] = {};
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t n = order[i];
      progress.show(
          (r + static_cast<double>(i) / static_cast<double>(order.size())) / o.repetitions,
          n == 0 ? "floor" : fmt::format("{} rows", n));
      std::vector<double> samples;
      for (int c = 0; c < calls; ++c)
        samples.push_back(n == 0 ? floor->gigabytes_per_second() : passes->milliseconds(n));
      now[n] = median(samples);
    }
    bandwidth.push_back(now[0]);
    share.push_back(bytes / (now[0] * 1e6) / now[1]);
    for (std::size_t n = 1; n <= most_rows; ++n) {
      time[n].push_back(now[n]);
      ratio[n].push_back(now[n] / now[1]);
    }
  }
  progress.clear();

  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}; {} threads, {}, context {}, {} repetitions of {}\n", machine_name(),
             executor->workers(), to_string(isa), o.context, o.repetitions, calls);
  fmt::print(out, "T(1) {:.3f} ms, {} of weights a step, read floor {:.2f} GB/s: {:.1f} % of it\n",
             median(time[1]), bytes_text(bytes), median(bandwidth), 100 * median(share));
  Table table;
  table.column("rows", Table::Align::left);
  std::vector<std::string> c = {"c(n)"}, ms = {"ms"}, each = {"ms per row"};
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t n = 1; n <= most_rows; ++n) {
    table.column(std::to_string(n));
    c.push_back(fmt::format("{:.2f}", median(ratio[n])));
    ms.push_back(fmt::format("{:.2f}", median(time[n])));
    each.push_back(fmt::format("{:.2f}", median(time[n]) / static_cast<double>(n)));
    rows.push_back({{"n", n}, {"c", median(ratio[n])}, {"ms", median(time[n])}});
  }
  table.row(c);
  table.row(ms);
  table.row(each);
  table.print(out);
  write_json(o.json, {{"machine", machine_name()},
                      {"isa", to_string(isa)},
                      {"threads", executor->workers()},
                      {"context", o.context},
                      {"repetitions", o.repetitions},
                      {"step_bytes", bytes},
                      {"floor_gb_per_s", median(bandwidth)},
                      {"share_of_floor", median(share)},
                      {"t1_ms", median(time[1])},
                      {"cost", rows}});
  return 0;
}

}  // namespace

void add_bench_cost(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand("cost", "c(n) for 1 to 16 rows, beside the read floor");
  const auto o = std::make_shared<CostArguments>();
  app->add_option("--model", o->model, "GGUF file")->required();
  app->add_option("--context", o->context, "Positions before the rows")
      ->check(CLI::Range(0, 1 << 24));
  app->add_option("--repetitions", o->repetitions, "Of everything, in a new order each time")
      ->check(CLI::Range(1, 10000));
  o->machine.add_backend(*app);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] { return cost(*o); }});
}

}  // namespace kedge::tools
