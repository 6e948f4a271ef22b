// kedge bench: one file per kind.
#pragma once

#include "common/command.hpp"

namespace kedge::tools {

void add_bench_cost(CLI::App& bench, Commands& commands);
void add_bench_decode(CLI::App& bench, Commands& commands);
void add_bench_device(CLI::App& bench, Commands& commands);
void add_bench_ops(CLI::App& bench, Commands& commands);
void add_bench_recurrent(CLI::App& bench, Commands& commands);
void add_bench_report(CLI::App& bench, Commands& commands);
void add_bench_sampling(CLI::App& bench, Commands& commands);
void add_bench_speculation(CLI::App& bench, Commands& commands);

}  // namespace kedge::tools
