// kedge bench sampling: milliseconds that drawing a token takes, per row of logits, on one thread.
#include <chrono>
#include <random>

#include "bench/bench.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"
#include "kedge/sample/sampler.hpp"
#include "kedge/sample/softmax.hpp"

namespace kedge::tools {

namespace {

struct SamplingBenchArguments {
  std::vector<std::int64_t> vocabularies = {49152, 151936};
  int repetitions = 200;
  MachineOptions machine;
};

// Normal noise with a few tokens far above it, as a model's logits are.
std::vector<float> logits_like_a_model(std::int64_t vocabulary) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(static_cast<std::size_t>(vocabulary));
  for (float& x : logits) x = normal(rng);
  for (int i = 0; i < 20; ++i) logits[rng() % logits.size()] += 12;
  return logits;
}

// The median over all repetitions, each another position.
template <class Call>
std::string time_of(int repetitions, Call call) {
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call(i);
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    times.push_back(ms.count());
  }
  return fmt::format("{:.3f}", median(std::move(times)));
}

int sampling(const SamplingBenchArguments& o) {
  const cpu::Isa isa = o.machine.chosen_isa();
  std::vector<std::int32_t> text(64);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::int32_t>(i * 37);
  const std::pair<const char*, SamplingOptions> ways[] = {
      {"temperature 1", {.temperature = 1}},
      {"penalties", {.temperature = 1, .repetition_penalty = 1.1}},
      {"top_k 40", {.temperature = 1, .top_k = 40}},
      {"top_p 0.9", {.temperature = 1, .top_p = 0.9}},
      {"min_p 0.05", {.temperature = 1, .min_p = 0.05}}};
  Table table;
  table.column("vocabulary");
  for (const auto& [name, options] : ways) table.column(name);
  table.column("log-probability, 5 others");
  for (const std::int64_t vocabulary : o.vocabularies) {
    const std::vector<float> logits = logits_like_a_model(vocabulary);
    std::vector<std::string> row = {std::to_string(vocabulary)};
    for (const auto& [name, options] : ways) {
      Sampler sampler = must(Sampler::create(isa, vocabulary, options));
      row.push_back(time_of(o.repetitions, [&](int position) {
        Sampler::Draw draw;
        draw.logits = logits;
        draw.text = text;
        draw.position = position;
        must(sampler.choose(draw));
      }));
    }
    Alternative best[5];
    row.push_back(
        time_of(o.repetitions, [&](int token) { log_probability(isa, logits, token, best); }));
    table.row(std::move(row));
  }
  fmt::print("{}; one thread, {}, ms per row, median of {}\n", machine_name(), to_string(isa),
             o.repetitions);
  table.print();
  return 0;
}

}  // namespace

void add_bench_sampling(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand("sampling", "Milliseconds to draw a token from its logits");
  const auto o = std::make_shared<SamplingBenchArguments>();
  app->add_option("--vocabulary", o->vocabularies, "Sizes of rows")
      ->check(CLI::Range(4096, 1 << 24));
  app->add_option("--repetitions", o->repetitions, "Rows per figure")->check(CLI::Range(1, 100000));
  o->machine.add_isa(*app);
  commands.push_back({app, [o] { return sampling(*o); }});
}

}  // namespace kedge::tools
