#include "bench/bench.hpp"

namespace kedge::tools {

void add_bench(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand(
      "bench", "Measure: cost of a pass, decoding, operators, recurrent states");
  app->require_subcommand(1);
  add_bench_cost(*app, commands);
  add_bench_decode(*app, commands);
  add_bench_device(*app, commands);
  add_bench_ops(*app, commands);
  add_bench_recurrent(*app, commands);
  add_bench_report(*app, commands);
  add_bench_sampling(*app, commands);
  add_bench_speculation(*app, commands);
}

}  // namespace kedge::tools
